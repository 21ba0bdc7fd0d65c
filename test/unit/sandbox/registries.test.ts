import { describe, expect, test } from 'vitest';

import { CasemateError } from '../../../src/base/errors.ts';
import { aptLineUrls, aptStanzaUrls, npmUrls, pipUrls, registriesOf } from '../../../src/sandbox/host/registries.ts';
import { readFacts, type FactsHost } from '../../../src/sandbox/host/facts.ts';
import { environmentOf } from '../../../src/system/environment.ts';

describe('package sources', () => {
  test('of npm are the default and those of scopes', () => {
    const listing = JSON.stringify({
      registry: 'https://registry.example/',
      '@team:registry': 'https://team.example:8443/npm/',
      'registry-x': 'https://no.example',
      proxy: null,
    });
    expect(npmUrls(listing)).toEqual(['https://registry.example/', 'https://team.example:8443/npm/']);
    expect(npmUrls('not json')).toEqual([]);
    expect(npmUrls('null')).toEqual([]);
  });

  test('of pip are the index and the further ones', () => {
    const listing =
      "global.index-url='https://index.example/simple'\n:env:.extra-index-url='https://a.example/x\\nhttps://b.example/y'\nglobal.cert='/etc/x'\n";
    expect(pipUrls(listing)).toEqual(['https://index.example/simple', 'https://a.example/x', 'https://b.example/y']);
  });

  test('of apt are read in the one-line form', () => {
    const text =
      '# deb http://no.example x\ndeb [arch=amd64 signed-by=/k] http://debian.example/debian bookworm main\ndeb-src http://src.example/ x\n\n  deb\thttps://two.example/d ./\n';
    expect(aptLineUrls(text)).toEqual(['http://debian.example/debian', 'https://two.example/d']);
  });

  test('of apt are read in the deb822 form', () => {
    const text = [
      'Types: deb deb-src\n# a comment\nURIs: http://debian.example/debian\n http://second.example/debian\nSuites: bookworm\n',
      'Types: deb\nURIs: http://off.example/\nEnabled: no\n',
      'Types: deb-src\nURIs: http://src.example/\n',
      'types: deb\nuris: https://security.example/x',
    ].join('\n');
    expect(aptStanzaUrls(text)).toEqual([
      'http://debian.example/debian',
      'http://second.example/debian',
      'https://security.example/x',
    ]);
  });

  test('become hosts and ports, each once; what has no name is left out', () => {
    const urls = [
      'http://debian.example/a',
      'http://debian.example/b',
      'https://Registry.Example:8443/',
      'https://192.0.2.1/',
      'http://localhost:4873/',
      'file:///x',
      'cdrom:[x]/',
      'https://u:p@auth.example/',
    ];
    expect(registriesOf(urls).map(({ host, port }) => `${host}:${port}`)).toEqual([
      'debian.example:80',
      'registry.example:8443',
      'auth.example:443',
    ]);
  });
});

describe('readFacts', () => {
  const result = (stdout: string, exitCode = 0) => ({
    exitCode,
    signal: undefined,
    stdout: Buffer.from(stdout),
    stderr: Buffer.alloc(0),
    truncated: false,
  });
  const host = (answers: Readonly<Record<string, string>>, calls: string[] = []): FactsHost => ({
    agents: {},
    env: environmentOf({ HOME: '/home/user', npm_config_registry: 'x', SECRET_KEY: 'y' }),
    home: '/home/user',
    registries: ['npm', 'pypi'],
    async runTool(file, _, { env, cwd }) {
      calls.push(file);
      expect(env).not.toHaveProperty('SECRET_KEY');
      expect(cwd).toBe('/');
      const answer = answers[file];
      if (answer === undefined) {
        throw new CasemateError('TOOL_MISSING', `cannot start ${file}`);
      }
      return result(answer, answer === 'fails' ? 1 : 0);
    },
  });

  test('asks only for what is wanted', async () => {
    const calls: string[] = [];
    await readFacts({ ...host({}, calls), registries: [] });
    expect(calls).toEqual([]);
  });

  test('takes a tool that is missing or fails for a registry that is absent', async () => {
    const facts = await readFacts(host({ npm: 'fails' }));
    expect(facts.registries).toEqual({ npm: [], debian: [], pypi: [] });
  });

  test('vouches for a registry with a private address, and for no other', async () => {
    const npm = '{"registry":"https://registry.example/"}';
    const privately = await readFacts(host({ npm, getent: '10.0.0.7 STREAM registry.example\n10.0.0.7 DGRAM\n' }));
    expect(privately.registries.npm).toEqual([{ host: 'registry.example', port: 443, upstream: 'https://registry.example' }]);
    const publicly = await readFacts(host({ npm, getent: '93.184.216.34 STREAM registry.example\n' }));
    expect(publicly.registries.npm).toEqual([{ host: 'registry.example', port: 443, upstream: undefined }]);
  });
});
