import { attack, control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import { showsFiles } from '../outside/gvisor-processes.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { everyRow, type Bench, type ProbeTable } from '../probe.ts';
import { rowList, text, textList, textMap } from '../read-answer.ts';

/** Which files, devices and processes are visible, and what can be left behind (G3, G4). */

/** Ours gives each of them; of a sandbox of somebody else one is enough, for a home that cannot be written is no fault of its. */
function ownPlaces({ answer, target }: Bench): readonly Row[] {
  const places = Object.entries(textMap(answer('writable_own')));
  if (target.plan !== undefined) {
    return places.map(([folder, seen]) => control(`write in ${folder}`, { expected: 'DONE', seen, ok: seen === 'DONE' }));
  }
  return [
    control('write in a folder of its own', {
      expected: 'DONE',
      seen: places.map(([folder, seen]) => `${folder}: ${seen}`).join(', '),
      ok: places.some(([, seen]) => seen === 'DONE'),
    }),
  ];
}

/** Devices that gVisor makes itself: none of them is one of this host's. */
const ofGvisor: ReadonlySet<string> = new Set(['fuse', 'net', 'char']);

/** Targets whose file systems are made for the sandbox alone, or shown from its own folders. */
const declared =
  /^\/(?:$|workspace(?:\/|$)|home\/agent$|tmp$|var\/tmp$|run$|proc(?:\/|$)|dev(?:\/|$)|sys(?:\/|$)|etc\/(?:resolv\.conf|hosts|ssl\/certs\/ca-certificates\.crt)$)/;

/** What Docker shows beside them, from folders of its own and of the sandbox. */
const declaredWithDocker = /^\/etc\/(?:hostname|passwd|group)$/;

export const fileProbes: ProbeTable = {
  'files.mounts': {
    where: 'sandbox',
    title: 'find a mount that was not declared, or one that lets a program gain ids',
    proves: ['G3', 'G4'],
    profile: 'quick',
    source: 'CIS Docker 5.6, 5.12',
    asks: ['mounts', 'writable_own'],
    run: (bench) =>
      Promise.resolve({
        rows: [
          // A kernel of its own knows neither option; what it shows of this host's files it has from a file server outside.
          ...rowList(bench.answer('mounts')).map((row) =>
            judgeMount(row, 'inside', { engine: bench.target.plan?.engine, declaredAlone: bench.ownKernel }),
          ),
          ...ownPlaces(bench),
        ],
      }),
    async outside(target) {
      const shown = await showsFiles(target);
      return shown === undefined
        ? []
        : mountRows(await readProcess(shown, 'mountinfo')).map((row) =>
            judgeMount(row, 'outside', { engine: target.plan?.engine }),
          );
    },
  },
  'files.read-only-root': {
    where: 'sandbox',
    title: 'write outside its own folders',
    proves: ['G4'],
    profile: 'quick',
    foreign: true,
    source: 'CIS Docker 5.13',
    asks: ['writable', 'writable_own'],
    async run(bench) {
      const rows = Object.entries(textMap(bench.answer('writable'))).map(([folder, seen]) =>
        attack(`write in ${folder}`, { expected: 'EROFS or EACCES', seen, ok: seen !== 'DONE' }),
      );
      return { rows: [...rows, ...ownPlaces(bench)] };
    },
  },
  'files.devices': {
    where: 'sandbox',
    title: 'find a device of the host, or make one',
    proves: ['G1', 'G3'],
    profile: 'quick',
    foreign: true,
    source: 'CIS Docker 5.18',
    layers: { seccomp: /^make a device in /, 'user-namespace': /^make a device in / },
    asks: ['unusual_devices', 'make_device', 'writable_own'],
    async run(bench) {
      const unusual = textList(bench.answer('unusual_devices')).filter((name) => !bench.ownKernel || !ofGvisor.has(name));
      const made = Object.entries(textMap(bench.answer('make_device'))).map(([folder, seen]) =>
        attack(`make a device in ${folder}`, { expected: 'EPERM', seen, ok: seen !== 'DONE' }),
      );
      return {
        rows: [
          attack('devices beyond the usual', {
            expected: 'none',
            seen: unusual.slice(0, 8).join(' ') || 'none',
            ok: unusual.length === 0,
          }),
          ...made,
          ...ownPlaces(bench),
        ],
      };
    },
  },
  'files.set-id': {
    where: 'sandbox',
    title: 'leave a file that gives ids or capabilities to who runs it',
    proves: ['G3'],
    profile: 'quick',
    foreign: true,
    source: 'CVE-2012-3515 class; user namespaces(7)',
    layers: { seccomp: everyRow },
    asks: ['set_id', 'writable_own'],
    async run(bench) {
      const rows = Object.entries(textMap(bench.answer('set_id'))).map(([what, seen]) =>
        attack(what, { expected: 'EPERM', seen, ok: seen !== 'DONE' }),
      );
      return { rows: [...rows, ...ownPlaces(bench)] };
    },
  },
  'files.processes': {
    where: 'sandbox',
    title: 'see or touch a process that is not its own',
    proves: ['G4', 'G20'],
    profile: 'quick',
    source: 'CIS Docker 5.16',
    asks: ['processes', 'first_process', 'harmless_call'],
    async run(bench) {
      const seen = rowList(bench.answer('processes'));
      const pids = await bench.target.processes();
      const { signal = '', memory = '', root = '' } = textMap(bench.answer('first_process'));
      const called = text(bench.answer('harmless_call'));
      return {
        rows: [
          attack('processes in /proc', {
            expected: `at most the ${pids.length} of the sandbox and the probe's own`,
            seen: String(seen.length),
            ok: pids.length === 0 ? undefined : seen.length <= pids.length + 3,
          }),
          ...Object.entries({ 'signal its first process': signal, 'open its memory': memory, 'read its root': root }).map(
            ([what, answer]) =>
              attack(what, {
                expected: 'EPERM or EACCES',
                seen: answer,
                ok: answer === 'EPERM' || answer === 'EACCES' || answer === 'ENOENT',
              }),
          ),
          control('getpid', { expected: 'DONE', seen: called, ok: called === 'DONE' }),
        ],
      };
    },
  },
  'files.host-sockets': {
    where: 'sandbox',
    title: 'find a socket of an engine, a desktop or a key agent',
    proves: ['G4', 'G21'],
    profile: 'quick',
    foreign: true,
    source: 'CIS Docker 5.32; CVE-2020-15257',
    asks: ['host_sockets', 'abstract_sockets', 'agent_variables', 'ordinary_sockets'],
    async run(bench) {
      const found = textList(bench.answer('host_sockets'));
      const abstract = textList(bench.answer('abstract_sockets'));
      // Where containers are offered, it names the sandbox's own broker.
      const offered = bench.target.plan?.docker === undefined ? [] : ['DOCKER_HOST'];
      const variables = textList(bench.answer('agent_variables')).filter((name) => !offered.includes(name));
      const none = (list: readonly string[]) => ({
        expected: 'none',
        seen: list.slice(0, 8).join(' ') || 'none',
        ok: list.length === 0,
      });
      return {
        rows: [
          attack('sockets of the host in the file system', none(found)),
          attack('abstract sockets', none(abstract)),
          attack('variables that lead to agents of the host', none(variables)),
          socketOfItsOwn(bench),
        ],
      };
    },
  },
};

/** Of any family: where all Unix sockets are refused, those of the host are as well. */
export function socketOfItsOwn(bench: Bench): Row {
  const { unix = '', tcp = '' } = textMap(bench.answer('ordinary_sockets'));
  return control('a socket of its own', {
    expected: 'DONE',
    seen: `unix ${unix}, tcp ${tcp}`,
    ok: unix === 'DONE' || tcp === 'DONE',
  });
}

type Mount = Readonly<Record<string, string>>;

/** proc(5), mountinfo: fields 5, 6, and after the dash type and source. */
function mountRows(mountinfo: string): readonly Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , , at, options] = left.split(' ');
    const [type = ''] = right.split(' ');
    return at === undefined || options === undefined ? [] : [{ at, options, type }];
  });
}

interface Judging {
  readonly engine: Plan['engine'] | undefined;
  readonly declaredAlone?: boolean | undefined;
}

function judgeMount(mount: Mount, from: Row['from'], { engine, declaredAlone = false }: Judging): Row {
  const { at = '', options = '', type = '' } = mount;
  const isDeclared = declared.test(at) || (engine !== 'oci' && declaredWithDocker.test(at));
  return attack(`mount at ${at}`, {
    expected: declaredAlone ? 'declared' : 'declared, nosuid, nodev',
    seen: `${type} ${options}${isDeclared ? '' : ', not declared'}`,
    ok: isDeclared && (declaredAlone || givesNothing(mount, engine)),
    from,
  });
}

function givesNothing(mount: Mount, engine: Judging['engine']): boolean {
  const { at = '', options = '', type = '' } = mount;
  const list = options.split(',');
  // Terminals are devices, and the eight devices are bound from the host; a program can gain nothing from either.
  const isDevice = type === 'devpts' || /^\/dev\/(?:null|zero|full|random|urandom|tty|console|ptmx)$/.test(at);
  const isMask = at.startsWith('/proc/') || at.startsWith('/sys');
  // Docker makes the devices of /dev there, and nobody inside may make another one or write there.
  const mayHoldDevices = engine !== 'oci' && at === '/dev' && type === 'tmpfs';
  return isDevice || isMask || (list.includes('nosuid') && (mayHoldDevices || list.includes('nodev')));
}
