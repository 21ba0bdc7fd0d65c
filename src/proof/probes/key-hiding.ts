import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { formsOf } from '../attacks/text-forms.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none, same } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import { holdCommand } from '../lab/held-command.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { phantomIn } from '../lab/phantoms.ts';
import {
  emptyReport,
  joinReports,
  searchFolder,
  searchProcess,
  searchWords,
  type Needle,
  type SearchReport,
} from '../outside/key-search.ts';
import { limitsOf } from '../outside/running-process.ts';
import type { ProbeTable } from '../probe.ts';

/** Where keys are kept (G13): in the memory of the gateway's process and, if a person stored them here, sealed. */

const nonce = (): string => randomBytes(6).toString('hex');
const sealedName = 'proof-sealed';

function keyNeedles(name: string, value: string): readonly Needle[] {
  return Object.entries(formsOf(value)).map(([form, text]) => ({ name: `${name} ${form}`, text }));
}

/** What the installation keeps for itself: the authority of a sandbox, the keys of journal and phantoms. */
async function ownKeys({ places }: Lab, { id }: LabSandbox): Promise<readonly Needle[]> {
  const files = [
    join(places.state, 'sandboxes', id, 'authority.key'),
    ...(await filesIn(join(places.state, 'journal/keys'), /^(?!.*pub\.pem$)/)),
    ...(await filesIn(places.config, /\.key$/)),
  ];
  const needles = files.map(async (path) => {
    const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').filter((line) => !line.startsWith('-----'));
    return lines
      .map((line) => line.trim())
      .filter((line) => line.length >= 24)
      .map((text) => ({ name: `line of ${path.slice(places.state.length)}`, text }));
  });
  return (await Promise.all(needles)).flat();
}

async function filesIn(folder: string, name: RegExp): Promise<readonly string[]> {
  const entries = await readdir(folder).catch(() => []);
  return entries.filter((entry) => name.test(entry)).map((entry) => join(folder, entry));
}

const foldersInside = ['home/agent', 'tmp', 'run', 'var', 'etc', 'usr/local', 'dev/shm', 'root', 'workspace'];

/** Processes of a sandbox with all that they hold, and the files that they see and may have written. */
async function searchSandbox({ target }: LabSandbox, needles: readonly Needle[]): Promise<SearchReport> {
  let report = emptyReport(needles);
  const pids = await target.processes();
  for (const pid of pids) {
    // oxlint-disable-next-line no-await-in-loop -- memory is bounded: one after the other
    report = joinReports(report, await searchProcess(pid, needles));
  }
  const root = await rootAmong(pids);
  for (const folder of root === undefined ? [] : foldersInside) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    report = joinReports(report, await searchFolder(join(root ?? '', folder), needles));
  }
  return report;
}

/** The files as the sandbox sees them, through the first of its processes that does. */
async function rootAmong(pids: readonly number[]): Promise<string | undefined> {
  for (const pid of pids) {
    // oxlint-disable-next-line no-await-in-loop -- the first that has them
    if ((await stat(`/proc/${pid}/root/home/agent`).catch(() => undefined)) !== undefined) {
      return `/proc/${pid}/root`;
    }
  }
  return undefined;
}

function placesOf({ seen }: SearchReport, names: readonly Needle[]): readonly string[] {
  return names.flatMap(({ name }) => (seen[name] ?? []).map((place) => `${name}: ${place}`));
}

function foundRow(what: string, places: readonly string[]): Row {
  const seen = places.length === 0 ? 'nowhere' : `${places.length} places`;
  return control(what, { expected: 'found', seen, ok: places.length > 0, from: 'outside' });
}

/** Uses the key, so that everything on its way has had it in hands. */
async function useKey({ twin }: Lab): Promise<string> {
  const phantom = await phantomIn(twin);
  const lines = [`X-Api-Key: ${phantom}`];
  const bytes = requestText({ host: hosts.opened, method: 'POST', target: '/v1/messages', lines, body: '{}' });
  await callerIn(twin).secure({ host: hosts.opened }, [bytes]);
  return phantom;
}

async function searchInside(lab: Lab): Promise<readonly Row[]> {
  const { twin, canaries } = lab;
  const phantom = await useKey(lab);
  const name = `.held-${nonce()}`;
  await twin.target.inside([
    'perl',
    '-e',
    'for (@ARGV) { open my $f, ">", $_ or die; print $f $ENV{PROOF_API_KEY} }',
    `/home/agent/${name}`,
  ]);
  const held = holdCommand(twin, (command) => twin.target.inside(command));
  await eventually(async () => {
    const words = await Promise.all((await twin.target.processes()).map((pid) => readProcess(pid, 'cmdline')));
    return words.some((text) => text.includes(held.nonce)) ? true : undefined;
  });
  const keys = [...keyNeedles('key', canaries.key), ...keyNeedles('other key', canaries.rotating)];
  const own = await ownKeys(lab, twin);
  const stand = [{ name: 'phantom', text: phantom }];
  const authority = join(lab.places.state, 'sandboxes', twin.id, 'authority.pem');
  const certificate = [{ name: 'certificate', text: (await readFile(authority, 'utf8')).split('\n')[1] ?? '' }];
  const report = await searchSandbox(twin, [...keys, ...own, ...stand, ...certificate]);
  await held.release();
  await twin.target.inside(['rm', '-f', `/home/agent/${name}`]);
  const seen = placesOf(report, stand);
  return [
    none('places in memory, environment, arguments and files of the sandbox that hold a key', placesOf(report, keys)),
    none('places there that hold the key of its authority, or one of the installation', placesOf(report, own)),
    foundRow(
      'the phantom in a process',
      seen.filter((place) => place.includes('process')),
    ),
    foundRow(
      'the phantom in a file',
      seen.filter((place) => place.includes(name)),
    ),
    foundRow("the certificate of the sandbox's authority in a file", placesOf(report, certificate)),
    control('keys of the installation that were looked for', {
      expected: 'some',
      seen: String(own.length),
      ok: own.length > 3,
      from: 'outside',
    }),
  ];
}

/** Everything of the lab that is no sandbox: the command lines that are open, and what the daemon has started. */
async function processesOf(
  lab: Lab,
  daemon: number,
): Promise<{ readonly own: readonly number[]; readonly all: readonly number[] }> {
  const all = (await readdir('/proc'))
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && pid !== daemon);
  const mine = await Promise.all(all.map(async (pid) => ((await readProcess(pid, 'environ')).includes(lab.folder) ? [pid] : [])));
  return { all, own: mine.flat() };
}

async function searchHost(lab: Lab): Promise<readonly Row[]> {
  const sealed = `cmcanary${randomBytes(16).toString('hex')}`;
  const args = ['credentials', 'set', sealedName, '--provider', 'bearer', '--host', hosts.denied];
  const set = await lab.casemate(args, { input: `${sealed}\n` });
  await useKey(lab);
  const keys = [...keyNeedles('key', lab.canaries.key), ...keyNeedles('sealed key', sealed)];
  const daemon = await lab.daemon.pid();
  const { own, all } = await processesOf(lab, daemon);
  const files = await searchFolder(lab.folder, keys);
  let words = emptyReport(keys);
  for (const pid of all) {
    // oxlint-disable-next-line no-await-in-loop -- as many as the host has
    words = joinReports(words, await searchWords(pid, keys));
  }
  words = joinReports(words, await searchWords(daemon, keys));
  const plain = keys.filter(({ name }) => name.endsWith('as it is'));
  let memory = emptyReport(plain);
  for (const pid of own) {
    // oxlint-disable-next-line no-await-in-loop -- memory is bounded: one after the other
    memory = joinReports(memory, await searchProcess(pid, plain));
  }
  const gateway = await searchProcess(daemon, plain);
  const answer = await lab.casemate(['credentials', 'ls', '--json']);
  await lab.casemate(['credentials', 'rm', sealedName, '--confirm', sealedName]);
  const isSource = (place: string): boolean => place.endsWith(lab.canaries.keyFile);
  const said = [set, answer].map(({ out, err }) => `${out.toString('utf8')}${err.toString('utf8')}`).join('');
  return [
    none(
      'files of the installation that hold a key, beside the one it is read from',
      placesOf(files, keys).filter((place) => !isSource(place)),
    ),
    none('environments and arguments of processes of this host that hold a key', placesOf(words, keys)),
    none("memory of the lab's processes beside the gateway's that holds a key", placesOf(memory, plain)),
    same(
      'what is printed of a key that is put in and listed',
      false,
      keys.some(({ text }) => said.includes(text)),
    ),
    foundRow('the key in the file it is read from', placesOf(files, keys).filter(isSource)),
    foundRow('the name of the key that was put in, in what is listed', answer.out.includes(sealedName) ? [sealedName] : []),
    foundRow('the key in the memory of the gateway', placesOf(gateway, plain)),
    control("the lab's processes that were looked through", {
      expected: 'some',
      seen: `${own.length}, ${Math.round(memory.bytes / 1024 / 1024)} MiB`,
      ok: memory.bytes > 0,
      from: 'outside',
    }),
  ];
}

const dumpLimit = 'Max core file size';

async function dump(lab: Lab): Promise<readonly Row[]> {
  const { twin } = lab;
  const limits = limitsOf(await readProcess(await lab.daemon.pid(), 'limits'));
  const before = new Set(await readdir(twin.workspace));
  const program = 'chdir $ARGV[0]; my $held = $ENV{PROOF_API_KEY}; kill 6, $$; sleep 5; print "alive"';
  const ended = await twin.target.inside(['perl', '-e', program, '/workspace']);
  const left = (await readdir(twin.workspace)).filter((name) => !before.has(name));
  await Promise.all(left.map((name) => rm(join(twin.workspace, name), { force: true })));
  return [
    // One byte is too little for a file, and the one value that keeps a dump from a program, too (core(5)).
    none(
      "bytes of the gateway's memory that a crash may leave",
      ['0', '1'].includes(limits[dumpLimit] ?? '') ? [] : [limits[dumpLimit] ?? 'unknown'],
    ),
    none('files that a crash inside leaves', left),
    control('the program inside crashes', {
      expected: '134',
      seen: String(ended.code),
      ok: ended.code === 134,
    }),
    control('limits of the gateway can be read', {
      expected: 'a number',
      seen: limits['Max open files'] ?? 'nothing',
      ok: Number(limits['Max open files']) > 0,
      from: 'outside',
    }),
  ];
}

export const keyHidingProbes: ProbeTable = {
  'keys.inside': {
    where: 'lab',
    title: 'find a key inside: in memory, environment, arguments and files of the sandbox',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-522, CWE-526; agentcage 211',
    run: async (lab) => ({ rows: await searchInside(lab) }),
  },
  'keys.on-host': {
    where: 'lab',
    title: 'find a key on the host: in files of the installation, in other processes, in what is printed',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-312, CWE-214; CIS Docker 4.10',
    run: async (lab) => ({ rows: await searchHost(lab) }),
  },
  'keys.dumped': {
    where: 'lab',
    title: 'find a key in what a crash leaves',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-528; core(5)',
    run: async (lab) => ({ rows: await dump(lab) }),
  },
};
