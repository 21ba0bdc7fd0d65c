import { lstat, readFile, readdir, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';

import { engineLayout, type EngineLayout } from '../../engines/oci/folders.ts';
import { containerOf, engineRecords } from '../../engines/records.ts';
import { run } from '../../system/process.ts';
import { same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { eventually } from '../eventually.ts';
import { holdCommand } from '../lab/held-command.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';

/** Which runtime made a sandbox and runs its commands, judged by the program that this host sees running. */

const runtimes = ['runc', 'crun', 'runsc'] as const;

export async function runtimeRows(lab: Lab, sandbox: LabSandbox): Promise<readonly Row[]> {
  const { runtime } = sandbox.target.plan ?? { runtime: 'runc' };
  const wanted = await programOf(runtime, lab.env['PATH'] ?? '');
  const layout = engineLayout({ state: join(lab.places.state, 'engine'), run: join(lab.places.runtime, 'engine') });
  const container = containerOf(await engineRecords(layout.records).get(sandbox.id));
  const [seen, known, says, kernel] = await Promise.all([
    whoCarriesOut(sandbox, container),
    statesOf(layout, { id: sandbox.id, container }),
    versionOf(wanted),
    kernelRow(sandbox, runtime),
  ]);
  return [
    attack('programs that carry out a command inside', { expected: wanted, seen, ok: seen === wanted, from: 'outside' }),
    same('runtimes that know the sandbox', [runtime], known),
    attack('what that program calls itself', {
      expected: `${runtime} …`,
      seen: says,
      ok: says.toLowerCase().startsWith(runtime),
      from: 'outside',
    }),
    kernel,
    control('find the program in the folders of PATH', {
      expected: 'a path',
      seen: wanted,
      ok: wanted.startsWith('/'),
      from: 'outside',
    }),
  ];
}

async function programOf(name: string, path: string): Promise<string> {
  for (const folder of path.split(':')) {
    // oxlint-disable-next-line no-await-in-loop -- the first that has it
    const found = await realpath(join(folder, name)).catch(() => undefined);
    if (found !== undefined) {
      return found;
    }
  }
  return 'none';
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await run(program, ['--version'], { env: {}, timeoutMs: 10_000 });
  return stdout.toString('utf8').split('\n')[0]?.slice(0, 80) ?? '';
}

/** While a command runs inside, processes of this host with the container's name in their arguments hold it: whose program are they? */
async function whoCarriesOut(sandbox: LabSandbox, container: string): Promise<string> {
  const command = holdCommand(sandbox, (words) => sandbox.target.inside(words));
  try {
    return (await eventually(() => holders(container))) ?? 'none';
  } finally {
    await command.release();
  }
}

/** Their programs, each once; a program of ours that becomes the runtime, or starts it in a scope, is on its way there. */
async function holders(container: string): Promise<string | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const programs = await Promise.all(
    pids.map(async (pid) => {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      const holds = words.includes(container) && words.includes('exec') && words.includes('--process');
      return holds ? await readlink(`/proc/${pid}/exe`).catch(() => '') : '';
    }),
  );
  const found = new Set(programs.filter((path) => path !== '' && !/\/(?:perl[\d.]*|systemd-run)$/.test(path)));
  return found.size === 0 ? undefined : [...found].toSorted().join(' ');
}

/** Each runtime has a folder of its own for what it made. */
async function statesOf(layout: EngineLayout, names: Names): Promise<readonly string[]> {
  const there = await Promise.all(runtimes.map((name) => (name === 'runsc' ? ofGvisor : ofRunc(name))(layout, names)));
  return runtimes.filter((_, index) => there[index] === true);
}

interface Names {
  readonly id: string;
  /** what the runtime knows it by */
  readonly container: string;
}

type Knows = (layout: EngineLayout, names: Names) => Promise<boolean>;

const ofRunc =
  (name: string): Knows =>
  async (layout, { container }) =>
    await lstat(join(layout.runtimeRoot(name), container)).then(
      () => true,
      () => false,
    );

/** gVisor has a folder for each sandbox, and files with the sandbox's name in it. */
const ofGvisor: Knows = async (layout, { id, container }) => {
  const names = await readdir(join(layout.sandbox(id).folder, 'runsc')).catch(() => []);
  return names.some((name) => name.includes(container) && name.endsWith('.state'));
};

/** gVisor is a kernel of its own; the others share this host's. */
async function kernelRow({ target }: LabSandbox, runtime: string): Promise<Row> {
  const [{ out }, host] = await Promise.all([target.inside(['cat', '/proc/version']), readFile('/proc/version', 'utf8')]);
  const isHosts = out.toString('utf8') === host;
  const expected = runtime === 'runsc' ? 'one of its own' : 'the one of this host';
  return attack('kernel', {
    expected,
    seen: isHosts ? 'the one of this host' : 'one of its own',
    ok: isHosts === (runtime !== 'runsc'),
  });
}
