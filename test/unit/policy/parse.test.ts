import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isCasemateError } from '../../../src/base/errors.ts';
import { parsePolicy } from '../../../src/policy/written/parse.ts';
import { thrownBy } from './samples.ts';
import { ownTime } from '../../helpers/own-time.ts';

const parse = (text: string) => parsePolicy({ text, kind: 'user', source: '/p.yaml', folder: '/', workspaceFolder: '/' });
const fault = (text: string): string => thrownBy(() => parse(text));

const whole = `version: 1
level: team
agent: { name: claude, permissions: skip, telemetry: false }
image: base
runtime: runsc
workspace: { path: ".", mode: readonly }
presets: [claude, npm]
network:
  - host: API.Example.com.
    ports: [8443, 443]
    credential: example
    allow: ["GET,HEAD /v1/**", "/health"]
    upstream: http://127.0.0.1:8080/
  - host: "*.example.org"
credentials:
  example: { provider: header, source: { env: EXAMPLE_KEY }, header: { name: Authorization, format: "Bearer {}" }, variable: EXAMPLE_KEY }
  anthropic: { provider: anthropic, source: { command: [op, read, x] } }
limits: { memory: 4GiB, cpus: 1.5, pids: 512, disk: 10GiB, fileSize: 1024, files: 4096, time: 2h, idle: 30m }
waive: [disk-limit]
`;

describe('parsePolicy', () => {
  test('reads every key into its value', () => {
    expect(parse(whole).written).toMatchObject({
      agent: { name: 'claude', permissions: 'skip', telemetry: false },
      network: [
        {
          host: { kind: 'exact', host: 'api.example.com' },
          ports: [443, 8443],
          allow: [
            { methods: ['GET', 'HEAD'], path: '/v1/**' },
            { methods: undefined, path: '/health' },
          ],
          upstream: 'http://127.0.0.1:8080',
        },
        { host: { kind: 'below', host: 'example.org' } },
      ],
      limits: { memory: 4 * 1024 ** 3, fileSize: 1024, time: 7_200_000, idle: 1_800_000 },
    });
  });

  test.each([
    ['tcp://127.1:5432', 'tcp://127.0.0.1:5432'],
    ['TCP://[::1]:80/', 'tcp://[::1]:80'],
    ['https://Inner.Example.com', 'https://inner.example.com'],
  ])('writes the upstream %s in its one form', (upstream, read) => {
    const text = `version: 1\nnetwork: [{ host: a.example, upstream: "${upstream}" }]`;
    expect(parse(text).written.network?.[0]?.upstream).toBe(read);
  });

  test('takes an agent by name alone', () => {
    expect(parse('version: 1\nagent: codex').written).toEqual({ version: 1, agent: { name: 'codex' } });
  });

  test('keeps the place of every value', () => {
    const { positions } = parse(whole);
    expect(positions.get('network/0/ports/1')).toEqual({ line: 10, column: 19 });
    expect(positions.get('limits/cpus')).toEqual({ line: 18, column: 31 });
  });

  test.each<[string, string, string]>([
    ['nothing', '', '1:1: the file is empty | A policy starts with the line: version: 1'],
    ['comments alone', '# nothing\n', '1:1: the file is empty'],
    ['null', 'null', '1:1: the policy must be a map of keys, not nothing'],
    ['a list', '- 1', '1:1: the policy must be a map of keys, not a list'],
    ['no version', 'level: team', '1:1: version is missing; write 1'],
    ['another version', 'version: 2', '1:10: version must be 1, not "2"'],
    ['an unknown key', 'version: 1\nnetwrok: []', '2:1: unknown key "netwrok" | Did you mean "network"?'],
    [
      'an unknown key within',
      'version: 1\nnetwork:\n  - host: a.example\n    port: [1]',
      '4:5: unknown key "port" | Did you mean "ports"?',
    ],
    ['an unknown key of an agent', 'version: 1\nagent: { nme: x }', '2:10: unknown key "nme" | Did you mean "name"?'],
    ['a key like no other', 'version: 1\nxylophone: 1', '2:1: unknown key "xylophone" | Known here: version, level,'],
    ['a key twice', 'version: 1\nlevel: team\nlevel: team', '3:1: the key "level" is written twice'],
    ['two documents', 'version: 1\n---\nversion: 1', '2:1: a second document starts here'],
    ['an anchor', 'version: 1\npresets: &x [npm]', '2:13: anchors and aliases have no place'],
    ['a tag', 'version: !int 1', '1:10: tags have no place'],
    ['a key that is a list', '? [a]\n: 1', '1:3: a key must be plain text'],
    ['a key of an object', 'version: 1\n__proto__: { level: team }', '2:1: unknown key "__proto__"'],
    ['a tab', 'version: 1\nlimits:\n\tcpus: 1', '3:1: not readable as YAML: Tabs are not allowed'],
    ['a key without a value', 'version: 1\nnetwork:', '2:9: network must be a list, not nothing'],
    [
      'a wrong choice',
      'version: 1\nlevel: tem',
      '2:8: level must be one of personal, team, service, maximum, not "tem" | Did you mean "team"?',
    ],
    [
      'a folder that no layout has',
      'version: 1\nworkspace: { layout: [imports, export] }',
      '2:32: workspace.layout[1] must be one of imports, exports, shared, Projects, Documentation, Research, not "export" | Did you mean "exports"?',
    ],
    ['a word that is no layout', 'version: 1\nworkspace: { layout: some }', '2:22: workspace.layout must be all, not "some"'],
    ['a number for an agent', 'version: 1\nagent: 3', '2:8: agent must be text or a map of keys, not a number'],
    ['everything', 'version: 1\nnetwork: [{ host: "*" }]', '2:19: network[0].host "*": a host of "*" would allow everything'],
    ['a whole top level', 'version: 1\nnetwork: [{ host: "*.com" }]', '*.com would allow names of many owners'],
    ['a registry below a top level', 'version: 1\nnetwork: [{ host: "*.co.uk" }]', '*.co.uk would allow names of many owners'],
    ['a private suffix', 'version: 1\nnetwork: [{ host: "*.github.io" }]', '*.github.io would allow names of many owners'],
    ['a star within', 'version: 1\nnetwork: [{ host: "a.*.example.com" }]', 'a wildcard is only the whole first label'],
    ['an address', 'version: 1\nnetwork: [{ host: 192.0.2.1 }]', 'a host is a name: no address can be reached'],
    ['an address in disguise', 'version: 1\nnetwork: [{ host: "0x7f.1" }]', 'is not a host name'],
    ['a URL', 'version: 1\nnetwork: [{ host: "https://a.example" }]', 'without scheme and path'],
    ['a host with a port', 'version: 1\nnetwork: [{ host: "a.example:443" }]', 'write the port under "ports"'],
    ['port 0', 'version: 1\nnetwork: [{ host: a.example, ports: [0] }]', '2:38: network[0].ports[0] must be at least 1'],
    ['no port', 'version: 1\nnetwork: [{ host: a.example, ports: [] }]', '2:37: network[0].ports must not be empty'],
    ['a method in small letters', 'version: 1\nnetwork: [{ host: a.example, allow: ["get /"] }]', 'methods are capital letters'],
    [
      'a path that leaves',
      'version: 1\nnetwork: [{ host: a.example, allow: ["/a/../b"] }]',
      'has a path that no request can have',
    ],
    ['a query', 'version: 1\nnetwork: [{ host: a.example, allow: ["/a?b"] }]', 'has a path that no request can have'],
    [
      'an upstream with a password',
      'version: 1\nnetwork: [{ host: a.example, upstream: "http://u:p@h/" }]',
      'is not an upstream',
    ],
    ['an upstream with a path', 'version: 1\nnetwork: [{ host: a.example, upstream: "http://h/x" }]', 'is not an upstream'],
    ['a bare one without its port', 'version: 1\nnetwork: [{ host: a.example, upstream: "tcp://h" }]', 'is not an upstream'],
    ['an upstream at no host', 'version: 1\nnetwork: [{ host: a.example, upstream: "http://a%2cb:1" }]', 'is not an upstream'],
    ['a size without sense', 'version: 1\nlimits: { memory: 4x }', '2:19: limits.memory "4x": is not a size'],
    ['memory in which nothing starts', 'version: 1\nlimits: { memory: 31MiB }', '"31MiB": must be at least 32 MiB'],
    ['such memory as a number', 'version: 1\nlimits: { memory: 512 }', '2:19: limits.memory must be at least 32 MiB'],
    ['a time without a unit', 'version: 1\nlimits: { time: "30" }', 'is not a time'],
    ['a fraction of a process', 'version: 1\nlimits: { pids: 9.5 }', 'limits.pids must be a whole number'],
    [
      'two sources',
      'version: 1\ncredentials: { a: { provider: anthropic, source: { env: A, file: b } } }',
      'must have exactly one key: env, file, command, stored',
    ],
    [
      'a header that routes',
      'version: 1\ncredentials: { a: { provider: header, source: { env: A }, header: { name: Host } } }',
      'frames or routes messages',
    ],
    [
      'a format without a place',
      'version: 1\ncredentials: { a: { provider: header, source: { env: A }, header: { name: X, format: y } } }',
      'must hold {} once',
    ],
    [
      'a header for a known API',
      'version: 1\ncredentials: { a: { provider: openai, source: { env: A }, header: { name: X } } }',
      'belongs to the provider header',
    ],
    [
      'a variable that loads code',
      'version: 1\ncredentials: { a: { provider: header, source: { env: A }, header: { name: X }, variable: LD_PRELOAD } }',
      'changes how programs start',
    ],
    ['a layer nobody knows', 'version: 1\nwaive: [disk-limits]', 'Did you mean "disk-limit"?'],
  ])('refuses %s with its place', (_, text, expected) => {
    const message = fault(text);
    expect(message).toMatch(/^POLICY_INVALID \/p\.yaml:\d+:\d+: /);
    expect(message).toContain(expected);
  });

  test('reports the first fault in the file and counts the others', () => {
    expect(fault('version: 1\nruntime: x\nlevle: team\nagent: 3')).toMatch(
      /^POLICY_INVALID \/p\.yaml:2:10: runtime .* \(and 2 more faults\)$/,
    );
  });

  test('shows control characters as escapes', () => {
    const message = fault('version: 1\n"\\e]0;x\\a": 1\n');
    expect(message).toContain('unknown key "\\x1b]0;x\\x07"');
    expect(message).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test.each<[string, string]>([
    [
      'an alias bomb',
      [
        'a: &a [x,x,x,x,x,x,x,x,x]',
        ...'bcdefghij'.split('').map((name, index) => `${name}: &${name} [${`*${'abcdefghij'[index]},`.repeat(9)}]`),
      ].join('\n'),
    ],
    ['100 000 open brackets', '['.repeat(100_000)],
    ['open brackets over many lines', '[\n'.repeat(50_000)],
    ['open maps', '{a: '.repeat(50_000)],
    ['sequences within sequences', '- '.repeat(2000)],
    ['questions within questions', '? '.repeat(2000)],
    ['deep indentation', Array.from({ length: 300 }, (_, index) => `${' '.repeat(index)}a:`).join('\n')],
    ['a file over the limit', `version: 1 # ${'x'.repeat(300)}\n`.repeat(1000)],
    ['as many keys as fit', Array.from({ length: 25_000 }, (_, index) => `k${index}: 1`).join('\n')],
    ['as many items as fit', `version: 1\npresets:\n${' - npm\n'.repeat(30_000)}`],
    ['a line without end', `version: ${'1'.repeat(100_000)}`],
  ])(
    'stays alive and quick with %s',
    (_, text) => {
      const spent = ownTime();
      expect(fault(text)).toMatch(/^POLICY_INVALID /);
      expect(spent()).toBeLessThan(20_000);
    },
    30_000,
  );

  test('throws nothing but its own errors, whatever the text', () => {
    const fragment = fc.constantFrom(
      'version: 1\n',
      'network:\n',
      ' - host: ',
      'a.example',
      '\n',
      '  ',
      '[',
      ']',
      '{',
      '}',
      ':',
      '"',
      "'",
      '&a ',
      '*a',
      '!t ',
      '|',
      '>',
      '---\n',
      '%',
      '\u0000',
      '\u202e',
      '? ',
      '#',
      '\t',
      '<<: ',
      '__proto__: ',
      'limits: ',
      'null',
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fragment, { maxLength: 20 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(parse(text).written.version).toBe(1);
        } catch (error) {
          expect(isCasemateError(error) && error.code === 'POLICY_INVALID', String(error)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  }, 60_000);
});
