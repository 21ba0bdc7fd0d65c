import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { none, same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { namespaceOf, visibleOf } from '../host-view.ts';
import { withVisibleCommand } from '../visible-command.ts';
import { holdCommand } from '../lab/held-command.ts';
import type { CasemateOptions, Lab, LabSandbox } from '../lab/lab.ts';
import { readTold, tellingProgram, type Told } from '../lab/told-inside.ts';
import { inspected } from '../lab/told.ts';
import { differences, entryView, processInside, withNamespaces, type EntryView } from '../outside/entry-view.ts';
import { entries, type Entry, type ProbeTable } from '../probe.ts';
import type { Inside } from '../target.ts';

/**
 * Every way into a sandbox (G23) has the same confinement as its first process, for every caller, with and without a terminal,
 * after another start and under another daemon. Judged by this host's kernel, and by the command itself.
 */

interface Way {
  readonly entry: Entry;
  readonly terminal: boolean;
}

const ways: readonly Way[] = entries.flatMap((entry) => [false, true].map((terminal) => ({ entry, terminal })));
/** Both ways into what runs already, once with and once without a terminal. */
const intoRunning: readonly Way[] = [
  { entry: 'exec', terminal: false },
  { entry: 'shell', terminal: true },
];

export const entryProbes: ProbeTable = {
  'entries.same-confinement': {
    where: 'lab',
    title: 'get in by a way that confines less: with a terminal, as a shell, after another start, under another daemon',
    proves: ['G19', 'G23'],
    profile: 'full',
    source: 'CVE-2024-21626, descriptors left open for what is started; exec without the filter of run',
    layers: {
      seccomp: /weaker than any process may be(?:, inside)?: Seccomp \d$|: type into its terminal: /,
      'user-namespace': /: ids that are those of root: /,
    },
    async run(lab) {
      const sandbox = await lab.make('entries');
      const rows = [...(await attackWays(lab, sandbox, { chosen: ways, when: 'at first' }))];
      await lab.casemate(['restart', sandbox.name]);
      rows.push(...(await attackWays(lab, sandbox, { chosen: intoRunning, when: 'after another start' })));
      process.kill(await lab.daemon.pid(), 'SIGKILL');
      await lab.daemon.start();
      rows.push(...(await attackWays(lab, sandbox, { chosen: intoRunning, when: 'under another daemon' })));
      rows.push(await variableRow(lab, sandbox), await namespaceRow(sandbox));
      await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
      return { rows };
    },
  },
};

interface Phase {
  readonly chosen: readonly Way[];
  readonly when: string;
}

async function attackWays(lab: Lab, sandbox: LabSandbox, { chosen, when }: Phase): Promise<readonly Row[]> {
  const looks = await Promise.all(chosen.map((way) => lookAt(lab, sandbox, way)));
  const seenOutside = sandbox.target.plan?.runtime !== 'runsc';
  return looks.flatMap((look) => {
    const what = `${look.way.entry} ${look.way.terminal ? 'with' : 'without'} a terminal, ${when}`;
    const secrets = [look.planted, lab.folder];
    return [
      ...insideRows(what, look, { secrets, ids: looks[0]?.told }),
      ...(seenOutside ? outsideRows(what, look, secrets) : []),
    ];
  });
}

interface Look {
  readonly way: Way;
  /** what must not be found inside: it is in the caller's environment */
  readonly planted: string;
  readonly told: Told;
  /** of the sandbox that the command is in */
  readonly first: EntryView | undefined;
  readonly entered: EntryView | undefined;
}

async function lookAt(lab: Lab, sandbox: LabSandbox, way: Way): Promise<Look> {
  const planted = randomBytes(8).toString('hex');
  const own = `entered-${way.terminal ? 'terminal' : 'pipes'}`;
  const isNew = way.entry === 'run';
  const [name, workspace] = isNew ? [own, join(lab.folder, `work-${own}`)] : [sandbox.name, sandbox.workspace];
  await mkdir(workspace, { recursive: true });
  await lab.give(workspace);
  const options: CasemateOptions = {
    cwd: workspace,
    atTerminal: way.terminal,
    leftOpen: lab.canaries.hostFile,
    env: { TERM: 'xterm', CASEMATE_PLANTED: planted },
  };
  const held = holdCommand({ workspace }, (words) => enter(lab, { way, name, words, options }), tellingProgram);
  const looked = { name, nonce: held.nonce, isOwnKernel: sandbox.target.plan?.runtime === 'runsc' };
  const [views] = await Promise.allSettled([viewsOf(lab, looked)]);
  const { out } = await held.release();
  if (views.status === 'rejected') {
    throw views.reason;
  }
  return { way, planted, told: readTold(out.toString('utf8'), held.nonce), ...views.value };
}

interface Entering {
  readonly way: Way;
  readonly name: string;
  readonly words: readonly string[];
  readonly options: CasemateOptions;
}

function enter(lab: Lab, { way, name, words, options }: Entering): Promise<Inside> {
  switch (way.entry) {
    case 'run':
      return lab.casemate(['run', '--name', name, '--', ...words], options);
    case 'exec':
      return lab.casemate(['exec', name, '--', ...words], options);
    case 'shell':
      // None of the words has a single quote in it.
      return lab.casemate(['shell', name], { ...options, input: `${words.map((word) => `'${word}'`).join(' ')}; exit\n` });
  }
}

interface Looked {
  readonly name: string;
  readonly nonce: string;
  readonly isOwnKernel: boolean;
}

async function viewsOf(lab: Lab, { name, nonce, isOwnKernel }: Looked): Promise<Pick<Look, 'first' | 'entered'>> {
  // What runs on a kernel of its own is no process of this host.
  const pid = isOwnKernel ? undefined : await processInside(nonce);
  if (pid === undefined) {
    return { first: undefined, entered: undefined };
  }
  const { processes, namespaces } = await inspected(lab.casemate, name);
  const [first] = processes;
  return {
    first: first === undefined ? undefined : withNamespaces(await entryView(first), namespaces),
    entered: await entryView(pid),
  };
}

function outsideRows(what: string, { way, first, entered }: Look, secrets: readonly string[]): readonly Row[] {
  if (first === undefined || entered === undefined) {
    return [attack(what, { expected: 'a process inside', seen: 'none was found', ok: undefined, from: 'outside' })];
  }
  const { shared, own, descriptors, hostTerminals, hasTerminal, variables } = entered;
  const hidden = Object.keys(first.shared).filter((name) => first.shared[name] === '');
  const seen = Object.fromEntries(Object.entries(shared).filter(([name]) => !hidden.includes(name)));
  const wanted = Object.fromEntries(Object.entries(first.shared).filter(([name]) => !hidden.includes(name)));
  const unseen = { expected: 'the same', seen: 'those of the first process cannot be read', ok: undefined };
  return [
    none(`${what}: other than the first process`, differences(wanted, seen)),
    ...(hidden.length === 0 ? [] : [attack(`${what}: ${hidden.join(', ')}`, { ...unseen, from: 'outside' })]),
    none(`${what}: weaker than any process may be`, weaknesses(shared)),
    none(
      `${what}: ids that are those of root`,
      (own['Uid'] ?? '0').split(/\s+/).filter((id) => id === '0'),
    ),
    none(`${what}: further groups`, strangeGroups(own)),
    same(`${what}: working folder`, '/workspace', own['working folder']),
    same(`${what}: open descriptors`, '0 1 2', descriptors.join(' ')),
    none(`${what}: terminals of this host`, hostTerminals.map(String)),
    same(`${what}: a controlling terminal`, way.terminal, hasTerminal),
    none(`${what}: variables of this host`, ofHost(variables, secrets)),
  ];
}

interface Expected {
  readonly secrets: readonly string[];
  /** what a process that came in otherwise says of its ids */
  readonly ids: Told | undefined;
}

/** What the command says of itself: the only view where a sandbox has a kernel of its own. */
function insideRows(what: string, { way, told }: Look, { secrets, ids }: Expected): readonly Row[] {
  const idsOf = ({ status }: Told) =>
    Object.fromEntries(['Uid', 'Gid', 'Groups', 'Umask'].map((key) => [key, status[key] ?? '']));
  return [
    none(`${what}: weaker than any process may be, inside`, weaknesses(told.status), 'inside'),
    none(`${what}: other ids than at another way in`, ids === undefined ? [] : differences(idsOf(ids), idsOf(told)), 'inside'),
    ...(way.terminal ? [refusedTyping(what, told)] : []),
    same(`${what}: open descriptors, inside`, '0 1 2', told.open.join(' '), 'inside'),
    none(`${what}: variables of this host, inside`, ofHost(told.variables, secrets), 'inside'),
    control(`${what}: tell of itself`, {
      expected: 'to the end',
      seen: told.complete ? 'to the end' : 'not to the end',
      ok: told.complete,
    }),
  ];
}

/** What stands in a terminal's queue is what a person seems to have typed (CVE-2017-5226). */
function refusedTyping(what: string, { typed = 'nothing' }: Told): Row {
  return attack(`${what}: type into its terminal`, { expected: 'refused', seen: typed, ok: typed === 'refused' });
}

/** Whatever a kernel says of it: gVisor's leaves some out. */
function weaknesses(status: Readonly<Record<string, string>>): readonly string[] {
  const wrong = (name: string, isRight: (value: string) => boolean): readonly string[] => {
    const value = status[name];
    return value === undefined || isRight(value) ? [] : [`${name} ${value}`];
  };
  return [
    ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].flatMap((name) => wrong(name, (value) => /^0+$/.test(value))),
    ...wrong('NoNewPrivs', (value) => value === '1'),
    ...wrong('Seccomp', (value) => value === '2'),
  ];
}

function strangeGroups({ Groups = '', Gid = '' }: Readonly<Record<string, string>>): readonly string[] {
  const own = Gid.split(/\s+/);
  return Groups.split(/\s+/).filter((group) => group !== '' && !own.includes(group));
}

/** By value, so that another name does not hide one. */
function ofHost(variables: readonly string[], secrets: readonly string[]): readonly string[] {
  return variables.filter((line) => secrets.some((secret) => line.includes(secret))).map((line) => line.split('=')[0] ?? '');
}

/** A variable that is given on purpose arrives: those of the caller would be seen. */
async function variableRow(lab: Lab, { name }: LabSandbox): Promise<Row> {
  const value = randomBytes(8).toString('hex');
  const { out } = await lab.casemate(['exec', name, '--env', `GIVEN=${value}`, '--', 'env']);
  const isThere = out.toString('utf8').includes(`GIVEN=${value}`);
  return control('a variable that is given by name', { expected: 'arrives', seen: isThere ? 'arrives' : 'none', ok: isThere });
}

/** This process is confined otherwise, and is seen to be. */
async function namespaceRow({ target }: LabSandbox): Promise<Row> {
  const [own, inside] = await withVisibleCommand(target, async () => {
    const visible = (await visibleOf(await target.processes())) ?? 0;
    return Promise.all([namespaceOf('self', 'net'), namespaceOf(visible, 'net')]);
  });
  const ok = own !== '' && inside !== '' && own !== inside;
  return control('this process, compared with the first one inside', {
    expected: 'another network',
    seen: ok ? 'another network' : 'the same, or not to be read',
    ok,
    from: 'outside',
  });
}
