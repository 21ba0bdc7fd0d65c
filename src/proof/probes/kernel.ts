import { open } from 'node:fs/promises';

import { measuredSurface, surfaceQuestions } from '../surface/measured.ts';
import { isPublishedCall, publishedSurface, thisMachine } from '../surface/published.ts';
import { attack, control, type Row } from '../finding.ts';
import { everyRow, type Bench, type ProbeTable } from '../probe.ts';
import { text, textMap } from '../read-answer.ts';
import { hostPrivilegeRows, privilegeRows } from '../outside/privilege-rows.ts';
import { socketOfItsOwn } from './files.ts';

/** Which parts of the kernel a process in a sandbox can reach (G1). The published set is the seccomp profile itself. */

const published = publishedSurface(thisMachine);
const families = new Set(published.sockets.map(({ family }) => String(family)));
/** The kernel has no such family, protocol or call: nothing can be concluded from that about the sandbox. */
const unsupported = new Set(['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', 'ENOPROTOOPT']);
/** What a filter or a capability check answers before anything is read. */
const refused = new Set(['EPERM', 'EACCES']);

/**
 * What it means that a kernel lacks what was asked for. Past the filter of a sandbox of ours nothing beyond the published set
 * gets to a kernel that could say so; in another sandbox it says nothing; a kernel of its own lacks it wherever it runs.
 */
function whereLacking({ ownKernel, target }: Bench): boolean | undefined {
  return ownKernel ? true : target.plan === undefined ? undefined : false;
}

/** Refused before the kernel read anything; open; or not to be told. `lacking`: what to make of a kernel that lacks it. */
export function isRefused(seen: string, lacking?: boolean): boolean | undefined {
  return refused.has(seen) ? true : unsupported.has(seen) || seen === 'ENOSYS' ? lacking : false;
}

function refusedRow(what: string, seen: string, { orAbsent = false, lacking }: Refusal): Row {
  return attack(what, { expected: orAbsent ? 'EPERM or ENOSYS' : 'EPERM', seen, ok: isRefused(seen, orAbsent || lacking) });
}

interface Refusal {
  readonly orAbsent?: boolean;
  readonly lacking?: boolean | undefined;
}

const workingCall = (bench: Bench): Row => {
  const seen = text(bench.answer('harmless_call'));
  return control('getpid', { expected: 'DONE', seen, ok: seen === 'DONE' });
};

export const kernelProbes: ProbeTable = {
  'kernel.privilege': {
    where: 'sandbox',
    title: 'hold a capability or a way to gain one',
    proves: ['G1', 'G23'],
    profile: 'quick',
    foreign: true,
    source: 'capabilities(7); CIS Docker 5.3, 5.25',
    layers: { seccomp: /seccomp mode: /, 'user-namespace': /user (?:ids|namespace): / },
    asks: ['status', 'harmless_call'],
    run: (bench) => Promise.resolve({ rows: [...privilegeRows(textMap(bench.answer('status')), 'inside'), workingCall(bench)] }),
    outside: hostPrivilegeRows,
  },
  'kernel.socket-families': {
    where: 'sandbox',
    title: 'open a socket of every family, with every common type',
    proves: ['G1'],
    profile: 'quick',
    foreign: true,
    source: 'CVE-2026-31431, CVE-2026-43500',
    layers: { seccomp: everyRow },
    asks: ['families', 'ordinary_sockets'],
    async run(bench) {
      const seen = Object.entries(textMap(bench.answer('families')));
      const rows = seen
        .filter(([family]) => !families.has(family))
        .map(([family, answer]) => attack(`socket family ${family}`, familyFacts(answer, whereLacking(bench))));
      return { rows: [...rows, socketOfItsOwn(bench)] };
    },
  },
  'kernel.socket-protocols': {
    where: 'sandbox',
    title: 'open raw, ping and packet sockets, and protocols of netlink beyond routing',
    proves: ['G1', 'G9'],
    profile: 'quick',
    foreign: true,
    source: 'CIS Docker 5.4; ping_group_range in ip-sysctl',
    // The others need a capability, with or without a filter.
    layers: { seccomp: /^(?:netlink \d+|sctp|mptcp|udplite) socket: / },
    asks: ['protocols', 'ordinary_sockets'],
    async run(bench) {
      const rows = Object.entries(textMap(bench.answer('protocols'))).map(([name, seen]) =>
        attack(`${name} socket`, familyFacts(seen, whereLacking(bench))),
      );
      return { rows: [...rows, socketOfItsOwn(bench)] };
    },
  },
  'kernel.crypto-socket': {
    where: 'sandbox',
    title: 'reach the crypto family of sockets, also through the 32-bit table of calls',
    proves: ['G1'],
    profile: 'quick',
    foreign: true,
    source: 'CVE-2026-31431',
    layers: { seccomp: everyRow },
    asks: ['crypto_socket', 'call_gate', 'ordinary_sockets'],
    async run(bench) {
      const direct = text(bench.answer('crypto_socket'));
      const gate = text(bench.answer('call_gate'));
      const none = gate.startsWith('no ');
      // This host's kernel may refuse for want of the family, past every filter.
      const isRefusal = gate.startsWith('killed') || (bench.ownKernel && gate === 'refused');
      return {
        rows: [
          attack('socket(AF_ALG), bound', familyFacts(direct, whereLacking(bench))),
          attack('socket(AF_ALG) by int 0x80', {
            expected: none ? 'no such gate' : 'killed or refused by the filter',
            seen: gate,
            ok: none || isRefusal ? true : gate === 'DONE' ? false : undefined,
          }),
          socketOfItsOwn(bench),
        ],
      };
    },
  },
  'kernel.dangerous-calls': {
    where: 'sandbox',
    title: 'make system calls that load code, mount, trace, read other memory or steer the host',
    proves: ['G1'],
    profile: 'quick',
    foreign: true,
    source: 'CIS Docker 5.22; CVE-2022-0185; moby default profile',
    layers: { seccomp: everyRow },
    asks: ['dangerous_calls', 'harmless_call'],
    async run(bench) {
      const rows = Object.entries(textMap(bench.answer('dangerous_calls')))
        .filter(([name]) => !published.calls.includes(name))
        .map(([name, seen]) => refusedRow(name, seen, { orAbsent: true }));
      return { rows: [...rows, workingCall(bench)] };
    },
  },
  'kernel.reachable-calls': {
    where: 'sandbox',
    title: 'reach a system call beyond the published list, of all there are by number',
    proves: ['G1'],
    profile: 'full',
    foreign: true,
    source: 'arXiv 2606.08433, reachable surface',
    asks: [...surfaceQuestions, 'harmless_call'],
    run(bench) {
      const { reached, tried } = measuredSurface(bench.answer, thisMachine);
      const beyond = reached.filter((name) => !isPublishedCall(name, published));
      return Promise.resolve({
        rows: [
          attack(`${tried} calls with arguments that none accepts`, {
            expected: `at most the ${published.calls.length + published.judged.length} published reach the kernel`,
            seen: `${reached.length} reach it${beyond.length === 0 ? '' : `, ${beyond.length} beyond: ${beyond.slice(0, 6).join(' ')}`}`,
            ok: beyond.length === 0,
          }),
          workingCall(bench),
        ],
      });
    },
  },
  'kernel.namespaces': {
    where: 'sandbox',
    title: 'make a namespace of each kind',
    proves: ['G1'],
    profile: 'quick',
    foreign: true,
    source: 'CVE-2022-0185, CVE-2022-0492',
    layers: { seccomp: everyRow },
    asks: ['namespaces', 'fork'],
    async run(bench) {
      const forked = text(bench.answer('fork'));
      const rows = Object.entries(textMap(bench.answer('namespaces'))).map(([name, seen]) =>
        refusedRow(name === 'clone3' ? 'clone3' : `a new namespace: ${name}`, seen, {
          orAbsent: name === 'clone3',
          lacking: whereLacking(bench),
        }),
      );
      return { rows: [...rows, control('fork', { expected: 'DONE', seen: forked, ok: forked === 'DONE' })] };
    },
  },
  'kernel.host-controls': {
    where: 'sandbox',
    title: 'open files for writing that steer the host',
    proves: ['G1', 'G3'],
    profile: 'quick',
    foreign: true,
    source: 'CIS Docker 5.5; core_pattern and release_agent escapes',
    layers: { 'user-namespace': everyRow },
    asks: ['host_controls', 'own_file'],
    async run(bench) {
      const own = text(bench.answer('own_file'));
      const files = Object.entries(textMap(bench.answer('host_controls'))).filter(([, seen]) => seen !== 'folder');
      const rows = files.map(([path, seen]) =>
        attack(`open ${path} for writing`, {
          expected: 'EACCES, EPERM or EROFS',
          seen,
          ok: ['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EIO', 'ENXIO'].includes(seen),
        }),
      );
      const none = attack('files that steer the host', { expected: 'none open', seen: 'none there', ok: true });
      return {
        rows: [
          ...(rows.length === 0 ? [none] : rows),
          control('write a file of its own', { expected: 'DONE', seen: own, ok: own === 'DONE' }),
        ],
      };
    },
  },
  'kernel.telltales': {
    where: 'sandbox',
    title: 'read logs, symbols, keys and hardware of the host',
    proves: ['G4'],
    profile: 'quick',
    foreign: true,
    source: 'arXiv 2606.08433, axis of leakage',
    asks: ['telltales', 'telltale_texts', 'status'],
    async run(bench) {
      const seen = textMap(bench.answer('telltales'));
      const rows = bench.ownKernel
        ? await comparedRows(textMap(bench.answer('telltale_texts')))
        : Object.entries(seen).map(([path, length]) =>
            attack(`read ${path}`, {
              expected: 'nothing',
              seen: /^\d+$/.test(length) ? `${length} bytes` : length,
              ok: length === '0' || !/^\d+$/.test(length),
            }),
          );
      const own = textMap(bench.answer('status'))['Uid'] ?? '';
      const none = attack('files that tell of the host', { expected: 'none', seen: 'none there', ok: true });
      return {
        rows: [
          ...(rows.length === 0 ? [none] : rows),
          control('read /proc/self/status', { expected: 'user ids', seen: own, ok: own !== '' }),
        ],
      };
    },
  },
  'kernel.terminal': {
    where: 'sandbox',
    title: 'type into a terminal of its own',
    proves: ['G19'],
    profile: 'quick',
    source: 'CVE-2017-5226',
    layers: { seccomp: everyRow },
    asks: ['terminal'],
    async run(bench) {
      const { TIOCSTI = 'none', TIOCLINUX = 'none', TIOCGWINSZ = 'none' } = textMap(bench.answer('terminal'));
      // This host's kernel may refuse by itself, past every filter of ours.
      const isOurs = bench.target.plan !== undefined;
      const stopped = (seen: string): boolean => (isOurs ? refused.has(seen) : seen !== 'DONE' && seen !== 'none');
      return {
        rows: [
          attack('ioctl TIOCSTI', { expected: 'EPERM', seen: TIOCSTI, ok: stopped(TIOCSTI) }),
          attack('ioctl TIOCLINUX', { expected: 'EPERM', seen: TIOCLINUX, ok: stopped(TIOCLINUX) }),
          control('ioctl TIOCGWINSZ', { expected: 'DONE', seen: TIOCGWINSZ, ok: TIOCGWINSZ === 'DONE' }),
        ],
      };
    },
  },
};

export function familyFacts(seen: string, lacking?: boolean) {
  const made = (answer: string): boolean => answer === 'DONE' || answer === 'BOUND';
  const judged = seen
    .split(' ')
    .map((answer) => (made(answer) ? false : refused.has(answer) ? true : unsupported.has(answer) ? lacking : undefined));
  return { expected: 'EPERM', seen, ok: judged.includes(false) ? false : judged.every((ok) => ok === true) || undefined };
}

/** A kernel of its own has such files of its own: none of them may say what this host's says. */
async function comparedRows(texts: Readonly<Record<string, string>>): Promise<readonly Row[]> {
  return await Promise.all(
    Object.entries(texts).map(async ([path, seen]) => {
      const host = (await readFirst(path, 256))?.toString('hex');
      const isSame = host !== undefined && seen === `x${host}`;
      return attack(`read ${path}`, {
        expected: 'nothing of this host',
        seen: isSame ? 'what this host says' : "what the sandbox's own kernel says",
        ok: !isSame,
      });
    }),
  );
}

/** `undefined`: it is not there, or not to be read by this process. */
async function readFirst(path: string, most: number): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  try {
    const buffer = Buffer.alloc(most);
    const read = await file?.read(buffer, 0, most, 0);
    return read === undefined ? undefined : buffer.subarray(0, read.bytesRead);
  } catch {
    return undefined;
  } finally {
    await file?.close();
  }
}
