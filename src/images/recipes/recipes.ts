import type { Recipe } from '../image.ts';
import type { Platform } from '../platform.ts';
import { serenaPackages } from './serena-packages.ts';

/** The recipes that come with this program, as data. Versions are exact and every npm tarball has its hash. */

export interface RecipeTarget {
  readonly platform: Platform;
  /** Debian release by code name */
  readonly suite: string;
}

const modules = '/usr/local/lib/node_modules';

const nodeVersion = '24.21.0';
const claudeVersion = '2.1.329';
const codexVersion = '0.169.0';

/** Hashes as published; one tarball for each platform. */
const integrity = {
  npm: 'sha512-ZsJjKpTnlmSXOLLXiU1xDCzC4Wlok4IwZmh/aw2KUuXytU7q6qMv/cUT7MoeSf95Slwuw/lRXYefGzGCspHPNQ==',
  node: {
    x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    arm64: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
  claude: {
    x64: 'sha512-+n4lu1ubYAp02Y0X/MAUnxw9yY6SHHZ77F+IoW+V0wVoFuiI9opdH6gofjf14gXJCEYMTNpks7Gn1i8XZTKAWA==',
    arm64: 'sha512-IiG5umFToSCVWqB1lEsxxwIxKgxPXyZ3DRU915v8J4Bz5Q3JpslM0ew1m5yaT+lFXBPvYxmsEgi0XI68XHND0A==',
  },
  codex: {
    x64: 'sha512-o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==',
    arm64: 'sha512-NZ/DaQUpcQmxmqee7Z9uC1rzw3GhSbooawcaTe1LN5Yk+WlinUKGdTXJgClRT/9ogQEEM9TWxYzvxPfj5G/xFg==',
  },
} as const;

/** Built-in recipes by name, each for one platform and one Debian release. */
export const builtinRecipes: Readonly<Record<string, (target: RecipeTarget) => Recipe>> = {
  base: ({ platform, suite }) => ({
    name: 'base',
    from: undefined,
    debian: {
      suite,
      packages: ['build-essential', 'ca-certificates', 'curl', 'git', 'jq', 'less', 'perl', 'procps', 'python3', 'ripgrep'],
    },
    npm: [
      { name: `node-linux-${platform}`, version: nodeVersion, integrity: integrity.node[platform] },
      { name: 'npm', version: '12.2.0', integrity: integrity.npm },
    ],
    files: [
      {
        path: '/etc/gitconfig',
        // All files inside belong to the one user there; git's owner check would only refuse workspaces of other owners.
        content: '[safe]\n\tdirectory = *\n',
        mode: 0o644,
      },
      // The root is read-only: what is installed globally goes into the home, where PATH looks first.
      { path: `${modules}/npm/npmrc`, content: 'prefix=${HOME}/.local\nupdate-notifier=false\n', mode: 0o644 },
    ],
    bin: {
      node: `${modules}/node-linux-${platform}/bin/node`,
      npm: `${modules}/npm/bin/npm-cli.js`,
      npx: `${modules}/npm/bin/npx-cli.js`,
    },
    checks: [
      { command: ['node', '--version'], contains: `v${nodeVersion}` },
      { command: ['npm', '--version'], contains: '12.2.0' },
      { command: ['git', '--version'], contains: 'git version' },
      { command: ['python3', '-c', 'print("python runs")'], contains: 'python runs' },
    ],
  }),
  claude: ({ platform }) => ({
    name: 'claude',
    from: 'base',
    debian: undefined,
    npm: [{ name: `@anthropic-ai/claude-code-linux-${platform}`, version: claudeVersion, integrity: integrity.claude[platform] }],
    files: [],
    bin: { claude: `${modules}/@anthropic-ai/claude-code-linux-${platform}/claude` },
    checks: [{ command: ['claude', '--version'], contains: claudeVersion }],
  }),
  serena: ({ platform }) => ({
    name: 'serena',
    from: 'base',
    debian: undefined,
    npm: [],
    python: serenaPackages(platform),
    files: [
      {
        path: '/usr/local/lib/serena/serena',
        // The image is read-only: what Python makes of the sources at the first start is kept in the home.
        content: `#!/usr/bin/python3
import os, sys
sys.pycache_prefix = os.path.expanduser('~/.cache/python')
from serena.cli import top_level
sys.exit(top_level())
`,
        mode: 0o755,
      },
    ],
    bin: { serena: '/usr/local/lib/serena/serena' },
    checks: [
      { command: ['python3', '-c', 'from importlib.metadata import version; print(version("serena-agent"))'], contains: '1.0.0' },
    ],
  }),
  codex: ({ platform }) => {
    // Published as versions of the main package; the program is looked up under the alias, hence the folder.
    const folder = `@openai/codex-linux-${platform}`;
    const triple = platform === 'x64' ? 'x86_64-unknown-linux-musl' : 'aarch64-unknown-linux-musl';
    return {
      name: 'codex',
      from: 'base',
      debian: undefined,
      npm: [
        { name: '@openai/codex', version: `${codexVersion}-linux-${platform}`, integrity: integrity.codex[platform], folder },
      ],
      files: [],
      bin: { codex: `${modules}/${folder}/vendor/${triple}/bin/codex` },
      checks: [{ command: ['codex', '--version'], contains: codexVersion }],
    };
  },
};
