import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/**
 * A caller whose sandbox changes a folder of its project for a link to somebody else's, again and again, while the same caller
 * names that folder in calls that the host carries out. Whichever moment the host looks at: it goes nowhere else.
 */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('a root that a sandbox changes meanwhile', () => {
  let home: Home;
  let mallory: McpCaller;
  let root = '';
  let secret = '';
  let sessionId = '';
  const word = 'WORD-OF-ANOTHER-7c1f';

  beforeAll(async () => {
    home = await makeHome();
    root = join(home.root, 'mallory');
    secret = join(home.root, 'others');
    await mkdir(join(root, 'project'), { recursive: true });
    await mkdir(secret);
    await writeFile(join(secret, 'file'), word);
    mallory = await startCaller(home, { args: ['--root', root, '--caller', 'mallory'] });
    sessionId = String(
      (await mallory.call('create_session', { projectPath: join(root, 'project'), agent: 'none' }))['sessionId'],
    );
    const swap = `mkdir -p a && echo mine > a/file && ln -s "$1" b && cd . || exit 1
      while :; do
        perl -e 'for (1 .. 20000) { rename "a", "sub"; select undef, undef, undef, 0.0005; rename "sub", "a"; rename "b", "sub"; select undef, undef, undef, 0.0005; rename "sub", "b" }'
      done`;
    await mallory.call('start_command', { sessionId, command: ['sh', '-c', swap, 'sh', secret], timeoutMs: 3_600_000 });
  });
  afterAll(async () => {
    await mallory.close();
    await home.remove();
  });

  it('is gone through by no call, whatever it is at that moment', async () => {
    const sub = join(root, 'project/sub');
    const tried = { made: 0, sent: 0, fetched: 0, refused: 0 };
    const answers: unknown[] = [];
    const attempt = async (kind: 'made' | 'sent' | 'fetched', name: string, args: object) => {
      const answer = await mallory.raw(name, args);
      answers.push(answer);
      tried[answer.isError === true ? 'refused' : kind] += 1;
      return answer;
    };
    await mallory.call('execute_command', { sessionId, command: 'echo planted > /tmp/planted' });
    for (let round = 0; round < 40; round += 1) {
      await Promise.all([
        attempt('sent', 'transfer_files', {
          sessionId,
          direction: 'to_container',
          sourcePath: round % 2 === 0 ? join(sub, 'file') : sub,
          destPath: `/tmp/got-${round}/`,
        }),
        attempt('fetched', 'transfer_files', {
          sessionId,
          direction: 'from_container',
          sourcePath: '/tmp/planted',
          destPath: join(sub, `planted-${round}`),
        }),
        round % 4 === 0
          ? attempt('made', 'create_session', { projectPath: sub, agent: 'none', layout: 'all' }).then(
              async ({ structuredContent }) => {
                const other = structuredContent?.['sessionId'];
                if (other !== undefined) {
                  answers.push(
                    await mallory.raw('execute_command', { sessionId: other, command: 'cat /workspace/file; ls /workspace' }),
                  );
                  await mallory.raw('destroy_session', { sessionId: other });
                }
              },
            )
          : attempt('made', 'plan_session', { projectPath: sub, agent: 'none' }),
      ]);
    }
    const inside = await mallory.call('execute_command', {
      sessionId,
      command: 'cat /tmp/got-*/* /tmp/got-*/*/* 2>/dev/null; true',
    });
    expect(JSON.stringify([answers, inside]), JSON.stringify(tried)).not.toContain(word);
    expect(await readdir(secret)).toEqual(['file']);
    expect(await readFile(join(secret, 'file'), 'utf8')).toBe(word);
    // Both were met: the folder of its own, and the link in its place.
    expect(Math.min(tried.made + tried.sent + tried.fetched, tried.refused), JSON.stringify(tried)).toBeGreaterThan(5);
  }, 240_000);
});
