import { spawn } from 'node:child_process';
import { chown } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, ways, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { dockerLacks, dockerWaivers, workspaceOwner } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const engines = [
  { engine: 'oci', lacks: await wholeWayLacks(), options: [] },
  {
    engine: 'docker',
    lacks: await dockerLacks(),
    options: ['--engine', 'docker', ...dockerWaivers.flatMap((layer) => ['--waive', layer])],
  },
] as const;
const sets = engines.flatMap((engine) => ways.map((way) => ({ ...engine, way })));
for (const { engine, lacks, options, way } of sets) {
  describe.skipIf(!engineOrSkip(engine, lacks))(`a terminal with ${engine} by ${way}`, { timeout: 120_000 }, () => {
    let home: Home;

    beforeAll(async () => {
      home = await makeHome(way);
      if (engine === 'docker') {
        await chown(home.project, workspaceOwner, workspaceOwner);
      }
      await home.casemate(['create', 'term', ...options]);
      await home.casemate(['start', 'term']);
    }, 600_000);

    afterAll(async () => {
      await home.remove();
    }, 600_000);

    /** Runs a shell line in a pseudo-terminal of its own (script(1)); `casemate` is the real command line. */
    async function inTerminal(line: string, typed?: string): Promise<{ code: number; out: string }> {
      const casemate = home.program.map((word) => `"${word}"`).join(' ');
      const child = spawn('script', ['-q', '-e', '-c', line.replaceAll('casemate', casemate), '/dev/null'], {
        cwd: home.project,
        env: { ...home.env, TERM: 'xterm', SHELL: '/bin/sh' },
      });
      let keys = typed;
      let out = '';
      child.stdout.on('data', (piece: Buffer) => {
        out += piece.toString('utf8');
        if (keys !== undefined && out.includes('ready')) {
          child.stdin.write(keys);
          keys = undefined;
        }
      });
      const code = await new Promise<number>((done) => child.once('close', (value) => done(value ?? -1)));
      return { code, out };
    }

    it('is there inside when there is one outside, with its size and type', async () => {
      // Docker's API before 1.42 takes the size only once the command runs.
      const size = 'for n in 1 2 3 4 5 6 7 8 9; do [ "$(stty size)" = "0 0" ] || break; sleep 0.3; done; stty size';
      const { code, out } = await inTerminal(
        `stty cols 101 rows 41; casemate exec term -- sh -c 'tty; ${size}; echo $TERM; exit 5'`,
      );
      expect(code).toBe(5);
      // runc may pass the first line on before it has told this terminal to leave lines as they are.
      expect(out).toMatch(/\/dev\/(pts\/\d+|console)\r+\n41 101\r+\nxterm/);
    });

    it('follows a resize', async () => {
      const untilResized = 'for n in $(seq 60); do [ "$(stty size)" = "33 77" ] && break; sleep 0.5; done; stty size';
      const { out } = await inTerminal(
        `tty=$(tty); (sleep 2; stty cols 77 rows 33 < $tty) & casemate exec term -- sh -c '${untilResized}'`,
      );
      expect(out).toContain('33 77');
    });

    it('carries keys as bytes: an interrupt reaches the command inside', async () => {
      const { out } = await inTerminal(
        'casemate exec term -- sh -c \'trap "echo caught; exit 9" INT; echo ready; sleep 20 & wait\'',
        '\u0003',
      );
      expect(out).toContain('caught');
    });

    it('is none inside where there is none outside', async () => {
      expect((await home.casemate(['exec', 'term', '--', 'tty'])).out).toBe('not a tty\n');
      expect((await inTerminal('casemate exec term --no-tty -- tty')).out).toContain('not a tty');
    });

    it('cannot be typed into from inside (TIOCSTI, TIOCLINUX; CVE-2017-5226)', async () => {
      const script =
        'import fcntl,termios\nfor code in (termios.TIOCSTI, 0x541C):\n try: fcntl.ioctl(0, code, b"x"); print("typed")\n except OSError as e: print("refused", e.errno)';
      const { out } = await inTerminal(`casemate exec term -- python3 -c '${script}'`);
      expect(out.match(/refused/g)).toHaveLength(2);
      expect(out).not.toContain('typed');
    });

    it('passes signals on to the command', async () => {
      const [file, ...before] = home.program;
      const child = spawn(
        file,
        [...before, 'exec', 'term', '--', 'sh', '-c', "trap 'kill $!; echo got; exit 3' TERM; echo ready; sleep 20 & wait"],
        { cwd: home.project, env: home.env, stdio: ['ignore', 'pipe', 'ignore'] },
      );
      let out = '';
      child.stdout.on('data', (piece: Buffer) => {
        out += piece.toString('utf8');
        if (out === 'ready\n') {
          child.kill('SIGTERM');
        }
      });
      const code = await new Promise((done) => child.once('close', done));
      expect({ code, out }).toEqual({ code: 3, out: 'ready\ngot\n' });
    });
  });
}
