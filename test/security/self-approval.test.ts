import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { socketPath } from '../../src/daemon/protocol.ts';
import { run } from '../../src/system/process.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** G15: what a sandbox was denied it cannot allow itself. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))(
  'an agent that wants to approve its own request',
  { timeout: 120_000 },
  () => {
    let home: Home;
    beforeAll(async () => {
      home = await makeHome();
      expect(await home.casemate(['create', 'net'])).toMatchObject({ code: 0 });
      expect(await home.casemate(['start', 'net'])).toMatchObject({ code: 0 });
    });
    afterAll(async () => await home.remove());
    const inside = async (script: string) => await home.casemate(['exec', 'net', '--no-tty', '--', 'sh', '-c', script]);

    it('cannot be answered from inside: no socket in there leads to the daemon', async () => {
      const outside = await run('curl', ['-sS', '-m', '20', '--http0.9', '--unix-socket', socketPath(home.paths), 'http://x/'], {
        timeoutMs: 30_000,
        env: home.env,
      });
      // Positive control: on the host this very socket answers.
      expect(outside.stdout.toString()).toContain('"type":"hello"');
      const probe = await inside(
        [
          `for s in ${socketPath(home.paths)} $(find / -type s -not -path '/proc/*' 2>/dev/null); do`,
          '  curl -sS -m 3 --http0.9 --unix-socket "$s" http://x/ >/tmp/answer 2>/dev/null && echo "ANSWER $s"',
          'done',
          'grep -c @ /proc/net/unix; ls /proc/*/fd >/dev/null 2>&1; command -v casemate || echo none',
        ].join('\n'),
      );
      expect(probe.out).not.toContain('ANSWER');
      expect(probe.out.trim().split('\n')).toEqual(['0', 'none']);
    });

    it('learns an id from its denial, and nothing that takes it', async () => {
      const { out } = await inside(
        [
          'ID=$(curl -sS http://denied.example.com/x | grep -o "ask-[a-z0-9]*")',
          'echo "id $ID"',
          // The gateway is all that answers: none of its ways to be asked carries a call.
          'for url in http://denied.example.com/approve/$ID http://localhost/$ID http://127.0.0.1:53/$ID; do',
          '  curl -sS -m 3 -X POST -d "{\\"type\\":\\"call\\",\\"id\\":1,\\"method\\":\\"request-approve\\",\\"params\\":{\\"id\\":\\"$ID\\",\\"scope\\":\\"sandbox\\"}}" $url >/dev/null 2>&1',
          'done',
          'curl -sS -o /dev/null -w "%{http_code}\\n" http://denied.example.com/x',
        ].join('\n'),
      );
      expect(out).toMatch(/^id ask-[a-z0-9]{12}\n403\n$/);
      const answered = await home.casemate(['journal', 'query', '--action', 'ask.approve', '--json']);
      expect(answered.out).toBe('');
    });
  },
);
