import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeHome, type Home } from '../helpers/cli.ts';

/** The policy commands as a person calls them: files in, text or JSON out, one line for what is wrong. */

let home: Home;

beforeAll(async () => {
  home = await makeHome();
  await mkdir(home.paths.config, { recursive: true });
  await writeFile(join(home.paths.config, 'policy.yaml'), 'version: 1\nlimits: { cpus: 1 }\n');
  await writeFile(
    join(home.project, 'casemate.yaml'),
    'version: 1\nagent: claude\nnetwork:\n  - { host: a.example, allow: ["GET /x"] }\n',
  );
});

afterAll(async () => {
  await home.remove();
});

describe('casemate policy check', () => {
  test('says what the layers come to and what the project asks for', async () => {
    const { code, out } = await home.casemate(['policy', 'check', '--json']);
    const answer: unknown = JSON.parse(out);
    expect(code).toBe(0);
    expect(answer).toMatchObject({
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      files: [{ layer: 'user' }, { layer: 'project' }],
      policy: { limits: { cpus: 1 }, agent: { name: 'claude' } },
    });
    expect(out).toContain('reaches a.example on port 443, only GET /x');
    expect((await home.casemate(['policy', 'check'])).out).toContain('the project asks for');
  });

  test.each<[string, string, RegExp]>([
    ['a misspelt key', 'version: 1\nnetwrok: []\n', /bad\.yaml:2:1: unknown key "netwrok"\n.*Did you mean "network"/],
    ['an open bracket', 'version: [\n', /bad\.yaml:\d+:\d+: not readable as YAML/],
    [
      'more than the user allows',
      'version: 1\nlimits: { cpus: 2 }\n',
      /bad\.yaml:2:17: limits\.cpus 2 is more than the 1 that .*policy\.yaml:2:17 allows/,
    ],
    ['control characters', 'version: 1\n"\\e[2J": 1\n', /unknown key "\\x1b\[2J"/],
  ])('refuses %s with exit code 2 and one place', async (_, text, words) => {
    await writeFile(join(home.project, 'bad.yaml'), text);
    const { code, out, err } = await home.casemate(['policy', 'check', 'bad.yaml']);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(words);
    expect(err).not.toContain('\u001b');
  });
});

describe('casemate policy explain', () => {
  test('names file and line', async () => {
    const { code, out } = await home.casemate(['policy', 'explain', 'a.example', 'GET', '/x']);
    expect(code).toBe(0);
    expect(out).toContain(`${join(home.project, 'casemate.yaml')}:4:5`);
    const denied = await home.casemate(['policy', 'explain', 'a.example:22', '--json']);
    expect(JSON.parse(denied.out)).toMatchObject({ verdict: 'deny', reason: 'port-not-allowed' });
  });

  test.each([
    [['policy', 'explain'], 'HOST[:PORT] is missing'],
    [['policy', 'explain', 'a.example:99999'], 'no port between 1 and 65535'],
    [['policy', 'explain', 'a.example', 'GET'], 'PATH is missing'],
    [['policy', 'explain', '192.0.2.1'], 'is not a host name'],
    [['policy', 'explain', 'a.example', '--polcy', 'x'], 'Did you mean --policy?'],
  ])('refuses %j', async (args, words) => {
    const { code, err } = await home.casemate(args);
    expect(code).toBe(2);
    expect(err).toContain(words);
  });
});

test('casemate policy schema prints a JSON Schema', async () => {
  const { code, out } = await home.casemate(['policy', 'schema']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', additionalProperties: false });
});
