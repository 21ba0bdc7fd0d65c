import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { exampleSite, keyInEnvironment as env, realKey, type ExampleSite } from '../helpers/example-site.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

interface Listed {
  readonly id: string;
  readonly state: string;
  readonly path: string;
  readonly credential?: string;
  readonly rule: string;
  readonly risks: readonly string[];
}

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('what a sandbox is denied', { timeout: 240_000 }, () => {
  let home: Home;
  let site: ExampleSite;

  beforeAll(async () => {
    home = await makeHome();
    site = await exampleSite(home, { policy: ['asks: { wait: 15s, when: always }'], allow: 'GET /v1/**', answer: 'done\n' });
    expect(await home.casemate(['create', 'net'], { env })).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'net'], { env })).toMatchObject({ code: 0 });
  });

  afterAll(async () => {
    site.close();
    await home.remove();
  });

  const inside = async (script: string) => await home.casemate(['exec', 'net', '--no-tty', '--', 'sh', '-c', script]);
  const post = async (path: string) =>
    await inside(`curl -sS -m 50 -d content -H "Authorization: Bearer $EXAMPLE_KEY" https://api.example.com${path}`);
  const killDaemon = async (): Promise<void> => {
    const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out);
    process.kill(daemon.pid, 'SIGKILL');
  };
  const list = async (): Promise<readonly Listed[]> => JSON.parse((await home.casemate(['requests', '--json'])).out);
  const waiting = async (path: string): Promise<Listed> => {
    for (let round = 0; round < 100; round += 1) {
      const found = (await list()).find((one) => one.path === path && one.state === 'waiting');
      if (found !== undefined) {
        return found;
      }
      await sleep(150);
    }
    throw new Error(`${path} does not wait`);
  };

  it('waits, is shown with what it would do, and goes through once with a yes', async () => {
    const answer = post('/once');
    const { id, credential, rule, risks } = await waiting('/once');
    expect({ credential, rule }).toEqual({
      credential: 'example',
      rule: expect.stringContaining('api.example.com:443 would be allowed POST /once, with the credential example'),
    });
    expect(risks).toEqual(
      expect.arrayContaining(['your credential example goes with it', 'POST can change things there, and carries data out']),
    );
    expect(site.seen).toEqual([]);
    const noTerminal = await home.casemate(['approve', id, '--once']);
    expect(noTerminal).toMatchObject({ code: 2, err: expect.stringContaining('there is no terminal to ask at') });
    expect(await home.casemate(['approve', id, '--once', '--yes'])).toMatchObject({ code: 0 });
    expect((await answer).out).toBe('done\n');
    expect(site.seen).toMatchObject([{ method: 'POST', path: '/once', authorization: `Bearer ${realKey}` }]);
    expect(await home.casemate(['approve', id, '--once', '--yes'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('no request'),
    });
    const journal = await home.casemate(['journal', 'query', '--action', 'ask.', '--json']);
    expect(JSON.parse(journal.out.trim().split('\n').at(-1) ?? '')).toMatchObject({
      action: 'ask.approve',
      outcome: 'once',
      actor: `user:${process.geteuid?.()}`,
      rule: `approval:${id}`,
    });
  });

  it('is refused at once with a no, and not asked again', async () => {
    const answer = post('/denied');
    const { id } = await waiting('/denied');
    expect(await home.casemate(['deny', id])).toMatchObject({ code: 0 });
    expect((await answer).out).toContain('A person was asked and has refused this');
    expect((await post('/denied')).out).toContain('A person was asked and has refused this');
    expect(site.seen.filter(({ path }) => path === '/denied')).toEqual([]);
  });

  it('is refused when nobody answers, and can be allowed for the next time from then on', async () => {
    const answer = await post('/late');
    expect(answer.out).toContain('has not answered in time');
    const id = /ask-[a-z0-9]{12}/.exec(answer.out)?.[0] ?? '';
    expect(await home.casemate(['approve', id, '--once', '--yes'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('nobody waits'),
    });
    expect(await home.casemate(['approve', id, '--yes'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('for the life of the sandbox'),
    });
    expect((await post('/late')).out).toBe('done\n');
    expect((await post('/later')).out).not.toBe('done\n');
  });

  it('stays allowed when the daemon is killed, and when the sandbox is stopped and started', async () => {
    await killDaemon();
    expect(await home.casemate(['restart', 'net'], { env })).toMatchObject({ code: 0 });
    expect((await post('/late')).out).toBe('done\n');
    // What was known of requests died with it; what a person allowed did not.
    expect((await list()).map(({ path }) => path)).not.toContain('/denied');
  });

  it('goes nowhere when the daemon is killed while it waits, and its id is of no use to the next one', async () => {
    const answer = post('/killed');
    const { id } = await waiting('/killed');
    await killDaemon();
    expect((await answer).code).not.toBe(0);
    expect(await home.casemate(['approve', id, '--yes'])).toMatchObject({ code: 2, err: expect.stringContaining('no request') });
    expect(site.seen.filter(({ path }) => path === '/killed')).toEqual([]);
    expect(await home.casemate(['journal', 'verify'])).toMatchObject({ code: 0 });
    expect(await home.casemate(['restart', 'net'], { env })).toMatchObject({ code: 0 });
  });

  it('is written into the own policy with --policy, comments kept, and holds for the next sandbox', async () => {
    const answer = post('/policy/17');
    const { id } = await waiting('/policy/17');
    expect(await home.casemate(['approve', id, '--policy', '--yes'])).toMatchObject({ code: 0 });
    expect((await answer).out).toBe('done\n');
    const text = await readFile(join(home.paths.config, 'policy.yaml'), 'utf8');
    expect(text).toContain('version: 1 # mine');
    expect(text).toContain('- POST /policy/17\n');
    const next = await home.casemate(
      ['run', '--', 'sh', '-c', 'curl -sS -d x -H "Authorization: Bearer $EXAMPLE_KEY" https://api.example.com/policy/17'],
      {
        env,
      },
    );
    expect(next.out).toBe('done\n');
    expect(text).not.toContain('/policy/*');
  });

  it('is known by its id after its sandbox has ended, so that the next one may have it', async () => {
    const ended = await home.casemate(['run', '--', 'curl', '-sS', '-m', '50', '-d', 'x', 'https://api.example.com/ended'], {
      env,
    });
    const id = /ask-[a-z0-9]{12}/.exec(ended.out)?.[0] ?? '';
    const late = await home.casemate(['approve', id, '--yes']);
    expect([late.code, late.err]).toEqual([2, expect.stringContaining(`casemate policy propose --request ${id}`)]);
    const proposed = await home.casemate(['policy', 'propose', '--request', id]);
    expect(proposed).toMatchObject({ code: 0, out: expect.stringContaining('- POST /ended\n') });
    expect((await home.casemate(['policy', 'propose', '--request', 'ask-aaaaaaaaaaaa'])).code).toBe(2);
  });

  it.each([['ask-aaaaaaaaaaaa'], ['ask-'], ['../../x'], ['ask-\u001b[31mabcdef']])(
    'is not answered by the guess %j',
    async (id) => {
      const { code, err } = await home.casemate(['approve', id, '--yes']);
      expect(code).toBe(2);
      expect(err).not.toContain('\u001b');
    },
  );

  it('does not let a link stand in for a policy file that is written', async () => {
    const target = join(home.root, 'target.yaml');
    await writeFile(target, 'version: 1\n');
    await symlink(target, join(home.project, 'casemate.yaml'));
    const outcome = await home.casemate(['policy', 'propose', 'new.example.com', '--write', 'project', '--yes']);
    expect(outcome.code).toBe(2);
    expect(await readFile(target, 'utf8')).toBe('version: 1\n');
  });
});
