/** What carries a command that gVisor runs (`enter.pl`), before a runtime that says late which of its processes the command is. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { dataFile } from '../../src/system/data-file.ts';
import { run } from '../../src/system/process.ts';

type Kind = 'socket' | 'file' | 'terminal';

/**
 * Called as `runsc` is. `exec`: the command inside gets no signal that is sent to this program, unless it has a terminal and its
 * number is told; that is told once there is a file `go`. Whatever happens to this program, the command goes on.
 */
const runtime = `
cd "$1"; shift
case $1 in
  kill) echo "$*" >> told; exec kill "-$5" "$3" ;;
esac
sh -c 'echo $$ > inside; trap "echo asked to end; exit 7" TERM; echo ready; while [ -e inside ]; do sleep 0.02; done' &
until [ -s inside ] && [ -e go ]; do sleep 0.01; done
[ "$1" != terminal ] || trap 'kill -TERM $!' TERM
cat inside > written; mv written pid
while :; do wait $!; code=$?; [ $code -eq 143 ] || exit $code; done
`;

// Whoever enters the namespaces of a sandbox, its own here, may do that as root alone.
describe.skipIf(process.geteuid?.() !== 0)('what carries a command of gVisor', () => {
  let folder: string;
  let carrier: ChildProcess;
  let closed: Promise<unknown>;
  /** of what came by a socket */
  let read: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-carried-'));
    read = '';
    await writeFile(join(folder, 'runtime'), runtime);
    await run('mkfifo', [join(folder, 'pid')], { env: { PATH: process.env['PATH'] ?? '' } });
  });

  afterEach(async () => {
    carrier.kill('SIGKILL');
    await closed;
    await rm(folder, { recursive: true });
  });

  /** Where what the command says is a socket the carrier stands between, where it is a file it does not. */
  async function carry(kind: Kind): Promise<void> {
    const where = [folder, String(process.pid), '0', kind === 'terminal' ? 'tty' : 'plain', 'sandbox', join(folder, 'pid')];
    const words = ['/bin/sh', join(folder, 'runtime'), folder, '--', kind];
    const output = await open(join(folder, 'output'), 'w');
    carrier = spawn('perl', [dataFile('engines/oci/gvisor/enter.pl'), process.arch, 'root', ...where, ...words], {
      stdio: ['ignore', kind === 'socket' ? 'pipe' : output.fd, 'inherit'],
    });
    closed = once(carrier, 'close');
    await output.close();
    carrier.stdout?.on('data', (text: Buffer) => {
      read += text.toString('latin1');
    });
  }

  const said = async (): Promise<string> => read + (await readFile(join(folder, 'output'), 'latin1'));

  it.each<Kind>(['socket', 'file', 'terminal'])('keeps a signal until the command is known by its number: %s', async (kind) => {
    await carry(kind);
    await expect.poll(said).toContain('ready');
    carrier.kill('SIGTERM');
    // Opened for reading there: the carrier has the signal and has asked for the number, of which there is none yet.
    const asked = await open(join(folder, 'pid'), 'w');
    await rename(join(folder, 'pid'), join(folder, 'asked'));
    await asked.close();
    await writeFile(join(folder, 'go'), '');
    expect(await closed).toEqual([7, null]);
    expect(await said()).toContain('asked to end');
    const told = await readFile(join(folder, 'told'), 'utf8').catch(() => '');
    const inside = (await readFile(join(folder, 'inside'), 'utf8')).trim();
    expect(told).toBe(kind === 'terminal' ? '' : `kill --pid ${inside} sandbox 15\n`);
  });
});
