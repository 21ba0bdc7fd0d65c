import type { PythonPackage } from '../image.ts';
import type { Platform } from '../platform.ts';

/**
 * Serena and its dependencies as wheels for Python 3.11: the newest version whose dependencies are all published as wheels
 * (later ones need `proxy_tools`, which is not). One SHA-256 for each wheel, or one for each platform.
 */
const wheels: readonly (readonly [name: string, version: string, sha256: string | Readonly<Record<Platform, string>>])[] = [
  ['annotated-types', '0.8.0', 'f072f4d804ea359e4eaf198b1af7a8b0943881a87f31bb764f8bf219bb9419e0'],
  ['anthropic', '0.59.0', 'cbc8b3dccef66ad6435c4fa1d317e5ebb092399a4b88b33a09dc4bf3944c3183'],
  ['anyio', '4.16.0', 'c66ae634e0b8228396b801741beb3294326d4b6102f7bba4041c0dfb58c29026'],
  ['attrs', '26.1.0', 'c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309'],
  ['beautifulsoup4', '4.14.2', '5ef6fa3a8cbece8488d66985560f97ed091e22bbc4e9c2338508a9d5de6d4515'],
  ['blinker', '1.9.0', 'ba0efaa9080b619ff2f3459d1d500c57bddea4a6b424b60a91141db6fd2f08bc'],
  ['certifi', '2026.10.19.post1', '1324c476b4811eff41a8bc2122cd0bbd4d9c7234c725446d99ab1612b3a7fdd2'],
  [
    'cffi',
    '2.1.1',
    {
      x64: '34e261f78cb6ceaaa36f42f2613f4380d94d9c759a9c73c769ee6e0247364632',
      arm64: '3311ed60d36f83378794e1009ac6258bafbf81f7888b4caa7b35a521e3f95813',
    },
  ],
  [
    'charset-normalizer',
    '3.5.3',
    {
      x64: '2a6f937e0b70133d1f826d0a253331b6fe1a4c874808cc12e16f2fb8177042f4',
      arm64: '90b1ff6cb9c7a204a3b79b1b0ed6ac8a1d8fed3b6dc69e50ae5de0f358ee81d4',
    },
  ],
  ['click', '8.5.1', '8bb5376d2006950386f8c6427613334a2acadc5f559cb80e638d00b4df957e37'],
  [
    'cryptography',
    '46.0.6',
    {
      x64: 'd4e4aadb7fc1f88687f47ca20bb7227981b03afaae69287029da08096853b738',
      arm64: '3dfa6567f2e9e4c5dceb8ccb5a708158a2a871052fa75c8b78cb0977063f1507',
    },
  ],
  ['distro', '1.9.0', '7bffd925d65168f85027d8da9af6bddab658135b840670a223589bc0c8ef02b2'],
  ['docstring_parser', '0.17.0', 'cf2569abd23dce8099b300f9b4fa8191e9582dda731fd533daf54c4551658708'],
  ['dotenv', '0.9.9', '29cf74a087b31dafdb5a446b6d7e11cbce8ed2741540e2339c69fbef92c94ce9'],
  ['filelock', '3.25.2', 'ca8afb0da15f229774c9ad1b455ed96e85a81373065fb10446672f64444ddf70'],
  ['Flask', '3.1.3', 'f4bcbefc124291925f1a26446da31a5178f9483862233b23c0c96a20701f670c'],
  ['fortls', '3.2.2', 'b7ae8378ce9741064b8340d3f1fbbbf7ab697285e174a0208fed98485c4edfe3'],
  ['h11', '0.16.0', '63cf8bbe7522de3bf65932fda1d9c2772064ffb3dae62d55932da54b31cb6c86'],
  ['httpcore', '1.0.9', '2d400746a40668fc9dec9810239072b40b4484b640a8c38fd654a024c7a1bf55'],
  ['httpx', '0.28.1', 'd909fcccc110f8c7faf814ca82a9a4d816bc5a6dbfea25d6591d6985b8ba59ad'],
  ['httpx-sse', '0.4.3', '0ac1c9fe3c0afad2e0ebb25a934a59f4c7823b60792691f779fad2c5568830fc'],
  ['idna', '3.20', 'ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c'],
  ['itsdangerous', '2.2.0', 'c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef'],
  ['Jinja2', '3.1.6', '85ece4451f492d0c13c5dd7c13a64681a86afae63a5f347908daf103ce6d2f67'],
  [
    'jiter',
    '0.19.0',
    {
      x64: 'cc4a2b70ecd4f102583344c1f8cc5dc11618665b1889286bb3b4279c19b337dd',
      arm64: 'da606acf39d7d2f2a56bfbb48a0b36f25da1d22d801cd0c9aecfce2f791e3239',
    },
  ],
  ['joblib', '1.5.1', '4719a31f054c7d766948dcd83e9613686b27114f190f717cec7eaa2084f8a74a'],
  ['json5', '0.17.3', '2c8b22a893c35cd6a3c5ccbf1dd1c7d02c25dc1b5897fea658f9bf08c2e05f9a'],
  ['jsonschema', '4.26.0', 'd489f15263b8d200f8387e64b4c3a75f06629559fb73deb8fdfb525f2dab50ce'],
  ['jsonschema-specifications', '2025.9.1', '98802fee3a11ee76ecaca44429fda8a41bff98b00a0f2838151b113f210cc6fe'],
  [
    'MarkupSafe',
    '3.0.4',
    {
      x64: '6da83a088f8ef93b2d483a8232a4dbf4d69d3d8496b568a03c56becac43e1808',
      arm64: '849dd2bb0e5e4ab2b71c7191726a4a8d5aa8a610daa584728cbee0b710ddc4ef',
    },
  ],
  ['mcp', '1.26.0', '904a21c33c25aa98ddbeb47273033c435e595bbacfdb177f4bd87f6dceebe1ca'],
  ['nodeenv', '1.12.0', '80644d65c10cc2be12e3e4b54b3367ff288c7ad24ae75c2dcc65454fc7449d4d'],
  ['overrides', '7.7.0', 'c7ed9d062f78b8e4c1a7b70bd8796b35ead4d9f510227ef9c5dc7626c60d7e49'],
  ['packaging', '26.4', '81383611a09c1bc0b08b76e0fd5829d7c6824c65b27a6aee339da133f4233ea2'],
  ['pathspec', '0.12.1', 'a0d503e138a4c123b27490a4f7beda6a01c6f288df0e4a8b79c7eb0dc7b4cc08'],
  [
    'pillow',
    '13.0.0',
    {
      x64: 'a625df9a2a5597fa5e5266e01aefc82604bb85d291e3547981e863560d75da6c',
      arm64: '7c88c10dd432f3b39ccdafc9ed81d0c21b8fd634502574da76d1bfa4fe2c76d0',
    },
  ],
  [
    'psutil',
    '7.0.0',
    {
      x64: '4b1388a4f6875d7e2aff5c4ca1cc16c545ed41dd8bb596cefea80111db353a34',
      arm64: 'a5f098451abc2828f7dc6b58d44b532b22f2088f4999a937557b603ce72b1993',
    },
  ],
  ['pycparser', '3.12', 'a076f3f489b39b43ed13563a1dafe42447445bec2e294154ec5c57fcdda4c85e'],
  ['pydantic', '2.12.5', 'e561593fccf61e8a20fc46dfc2dfe075b8be7d0188df33f221ad1f0139180f9d'],
  ['pydantic-settings', '2.15.0', '0ba092c291c94baceb5eff768aa0d56400a457585bc0175925a5a5510303da42'],
  [
    'pydantic_core',
    '2.41.5',
    {
      x64: 'f31d95a179f8d64d90f6831d71fa93290893a33148d890ba15de25642c5d075b',
      arm64: '378bec5c66998815d224c9ca994f1e14c0c21cb95d2f52b6021cc0b2a58f2a5a',
    },
  ],
  ['PyJWT', '2.15.1', '42d59d631f7768a1028a64c7ff581a9bf7519804daf91fc5b6c56e30eec5e193'],
  ['pyright', '1.1.403', 'c0eeca5aa76cbef3fcc271259bbd785753c7ad7bcac99a9162b4c4c7daed23b3'],
  ['pystray', '0.19.5', 'a0c2229d02cf87207297c22d86ffc57c86c227517b038c0d3c59df79295ac617'],
  ['python-dotenv', '1.2.1', 'b81ee9561e9ca4004139c6cbba3a238c32b03e4894671e181b671e8cb8425d61'],
  ['python-multipart', '0.0.22', '2b2cd894c83d21bf49d702499531c7bafd057d730c201782048f7945d82de155'],
  ['python-xlib', '0.33', 'c3534038d42e0df2f1392a1b30a15a4ff5fdc2b86cfa94f072bf11b10a164398'],
  ['pywebview', '3.4', '521ef1ba4a009a0f9e316789c8686e0e81cb6700bc31088c178c94f016041c1d'],
  [
    'PyYAML',
    '6.0.2',
    {
      x64: '3ad2a3decf9aaba3d29c8f537ac4b243e36bef957511b4766cb0057d32b0be85',
      arm64: '5d225db5a45f21e78dd9358e58a98702a0302f2659a3c6cd320564b75b86f47c',
    },
  ],
  ['referencing', '0.37.0', '381329a9f99628c9069361716891d34ad94af76e461dcb0335825aecc7692231'],
  [
    'regex',
    '2026.2.28',
    {
      x64: 'e7ce83654d1ab701cb619285a18a8e5a889c1216d746ddc710c914ca5fd71022',
      arm64: '7c1b34dfa72f826f535b20712afa9bb3ba580020e834f3c69866c5bddbf10098',
    },
  ],
  ['requests', '2.33.0', '3324635456fa185245e24865e810cecec7b4caf933d7eb133dcde67d48cee69b'],
  [
    'rpds-py',
    '2026.9.1',
    {
      x64: '136a1c3fe4402b7008bc81cb62ee538481795b61a7e83df88dff3b3f02b726ff',
      arm64: 'e01b3c878c8641913e688edd1b3f08658c6783d29cf6b826bd3c0d1ae7a1ffaa',
    },
  ],
  ['ruamel.yaml', '0.18.14', '710ff198bb53da66718c7db27eec4fbcc9aa6ca7204e4c1df2f282b6fe5eb6b2'],
  [
    'ruamel.yaml.clib',
    '0.2.15',
    {
      x64: '617d35dc765715fa86f8c3ccdae1e4229055832c452d4ec20856136acc75053f',
      arm64: 'ef71831bd61fbdb7aa0399d5c4da06bea37107ab5c79ff884cc07f2450910262',
    },
  ],
  ['sensai-utils', '1.5.0', 'c23c51d23d353e7a9b77c70aa8ba7f2d0a8fe4e67ee5bc1ef41c69dba5e4befb'],
  ['serena-agent', '1.0.0', '01de7d8e7c3fa0866a711493c1047f8d1273ee01f7d4a21a2d90b714164cd6d0'],
  ['six', '1.17.0', '4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274'],
  ['sniffio', '1.3.1', '2f6da418d1f1e0fddd844478f41680e794e6051915791a034ff65e5f100525a2'],
  ['soupsieve', '2.10', '8596eb8967d744174820280fa62b4542a2e955bfaccca73ed8a13c6eb8e9b502'],
  ['sse-starlette', '3.7.0', 'f1d3136caa12d129284fca3d2ded79bc9af943320b6472712955fea52a6d3eea'],
  ['starlette', '1.0.0', 'd3ec55e0bb321692d275455ddfd3df75fff145d009685eb40dc91fc66b03d38b'],
  [
    'tiktoken',
    '0.12.0',
    {
      x64: '47a5bc270b8c3db00bb46ece01ef34ad050e364b51d406b6f9730b64ac28eded',
      arm64: 'f18f249b041851954217e9fd8e5c00b024ab2315ffda5ed77665a05fa91f42dc',
    },
  ],
  ['tqdm', '4.67.1', '26445eca388f82e72884e0d580d5464cd801a3ea01e63e5601bdff9ba6a48de2'],
  ['types-PyYAML', '6.0.12.20250516', '8478208feaeb53a34cb5d970c56a7cd76b72659442e733e268a94dc72b2d0530'],
  ['typing-inspection', '0.4.5', 'bc210535442b39e1bf2805e0c7a17dfd6a4ace760c84c7f7d16245d23a6b1c39'],
  ['typing_extensions', '4.16.0', '481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8'],
  ['urllib3', '2.6.3', 'bf272323e553dfb2e87d9bfd225ca7b0f467b919d7bbd355436d3fd37cb0acd4'],
  ['uvicorn', '0.54.0', '505bdb0f318731d45f1f712071fc781a8981f6847a31c902c9f5e652d4f67faf'],
  ['Werkzeug', '3.1.7', '4b314d81163a3e1a169b6a0be2a000a0e204e8873c5de6586f453c55688d422f'],
];

export function serenaPackages(platform: Platform): readonly PythonPackage[] {
  return wheels.map(([name, version, sha256]) => ({
    name,
    version,
    sha256: typeof sha256 === 'string' ? sha256 : sha256[platform],
  }));
}
