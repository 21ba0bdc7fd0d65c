import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { exampleSite, keyInEnvironment as env, realKey, type ExampleSite } from '../helpers/example-site.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('learning what a program needs', { timeout: 60_000 }, () => {
  let home: Home;
  let site: ExampleSite;

  beforeAll(async () => {
    home = await makeHome();
    site = await exampleSite(home, { allow: 'GET /known', answer: 'answer\n' });
    await writeFile(join(home.project, '.env'), 'TOKEN=abc\n');
    await writeFile(join(home.project, 'kept.txt'), 'kept\n');
  });
  afterAll(async () => {
    site.close();
    await home.remove();
  });

  const script = [
    'ls -A; echo "key=$EXAMPLE_KEY"; echo changed > kept.txt',
    'curl -sS -H "Authorization: Bearer mine" https://api.example.com/users/17',
    'curl -sS https://api.example.com/known',
    'curl -sS -d content https://api.example.com/items',
  ].join('\n');

  it('lets reads out without a key, notes writes down, and leaves the workspace as it was', async () => {
    const { code, out, err } = await home.casemate(['learn', '--json', '--', 'sh', '-c', script], { env });
    expect(code).toBe(0);
    expect(err).toContain('key=\n');
    expect(err).not.toMatch(/^\.env$/m);
    expect(site.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /users/17', 'GET /known']);
    expect(JSON.stringify(site.seen)).not.toMatch(/authorization|Bearer|real-key/i);
    expect(await readFile(join(home.project, 'kept.txt'), 'utf8')).toBe('kept\n');
    const { rules, allows, notes } = JSON.parse(out);
    expect(rules[0].allow).toEqual(['POST /items', 'GET /users/*']);
    expect(allows[0]).toContain('with the credential example');
    expect(notes.join('\n')).toContain('not in the copy: .env');
  });

  it('sends nothing at all with --closed', async () => {
    const before = site.seen.length;
    expect(
      await home.casemate(['learn', '--closed', '--', 'curl', '-sS', 'https://api.example.com/users/18'], { env }),
    ).toMatchObject({ code: 0 });
    expect(site.seen).toHaveLength(before);
  });

  it('writes a policy under which the same program then runs', async () => {
    const written = await home.casemate(['learn', '--write', 'user', '--yes', '--', 'sh', '-c', script], { env });
    expect(written).toMatchObject({ code: 0, out: expect.stringContaining('written: ') });
    const call = 'curl -sS -d content -H "Authorization: Bearer $EXAMPLE_KEY" https://api.example.com/items';
    expect(await home.casemate(['run', '--', 'sh', '-c', call], { env })).toMatchObject({ code: 0, out: 'answer\n' });
    expect(site.seen.at(-1)).toMatchObject({ authorization: `Bearer ${realKey}` });
  });

  it('does not start where nobody may be asked for more', async () => {
    const file = join(home.root, 'closed.yaml');
    await writeFile(file, 'version: 1\nasks: { wait: off }\n');
    const outcome = await home.casemate(['learn', '--policy', file, '--', 'true'], { env });
    expect(outcome).toMatchObject({ code: 2, err: expect.stringContaining('nothing can be learned under it') });
    expect((await readdir(home.project)).toSorted()).toEqual(['.env', 'kept.txt']);
  });
});
