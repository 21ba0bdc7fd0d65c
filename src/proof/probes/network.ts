import { attack, control } from '../finding.ts';
import { namespaceOf, readProcess, visibleOf } from '../host-view.ts';
import { everyRow, type ProbeTable } from '../probe.ts';
import { text, textList, textMap } from '../read-answer.ts';

/** Where packets can go without the gateway (G9). A time-out does not count as refused: it means that there is a route. */

const atOnce = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EADDRNOTAVAIL', 'EPERM', 'EACCES', 'EAFNOSUPPORT']);

export const networkProbes: ProbeTable = {
  'network.interfaces': {
    where: 'sandbox',
    title: 'find an interface or a route beside loopback',
    proves: ['G9', 'G20'],
    profile: 'quick',
    foreign: true,
    asks: ['interfaces', 'routes', 'own_listener'],
    async run(bench) {
      const interfaces = textList(bench.answer('interfaces'));
      const routes = textList(bench.answer('routes'));
      const own = text(bench.answer('own_listener'));
      return {
        rows: [
          attack('interfaces', onlyLoopback(interfaces)),
          attack('routes', { expected: 'none', seen: routes.join('; ') || 'none', ok: routes.length === 0 }),
          control('connect to a listener of its own', { expected: 'DONE', seen: own, ok: own === 'DONE' }),
        ],
      };
    },
    async outside(target) {
      const first = await visibleOf(await target.processes());
      if (first === undefined) {
        return [];
      }
      const [devices, own, ours] = await Promise.all([
        readProcess(first, 'net/dev'),
        namespaceOf(first, 'net'),
        namespaceOf('self', 'net'),
      ]);
      return [
        attack('interfaces as the host sees them', { ...onlyLoopback(interfacesOf(devices)), from: 'outside' }),
        attack('network namespace', {
          expected: 'another than the host',
          seen: own === '' ? 'it cannot be read' : own,
          ok: own === '' ? undefined : own !== ours,
          from: 'outside',
        }),
      ];
    },
  },
  'network.no-route': {
    where: 'sandbox',
    title: 'connect or send to addresses outside, in every family and spelling',
    proves: ['G9', 'G10'],
    profile: 'quick',
    foreign: true,
    source: 'CVE-2025-55284; host aliases of slirp4netns, pasta and Docker Desktop',
    asks: ['far', 'own_listener'],
    async run(bench) {
      const own = text(bench.answer('own_listener'));
      const rows = Object.entries(textMap(bench.answer('far'))).map(([what, seen]) =>
        attack(what, { expected: 'ENETUNREACH at once', seen, ok: atOnce.has(seen) }),
      );
      return {
        rows: [...rows, control('connect to a listener of its own', { expected: 'DONE', seen: own, ok: own === 'DONE' })],
      };
    },
  },
  'network.change-address': {
    where: 'sandbox',
    title: 'change an address or a route',
    proves: ['G9'],
    profile: 'quick',
    foreign: true,
    source: 'rtnetlink(7)',
    layers: { 'user-namespace': everyRow },
    asks: ['change_address', 'interfaces'],
    async run(bench) {
      const seen = text(bench.answer('change_address'));
      const interfaces = textList(bench.answer('interfaces'));
      return {
        rows: [
          attack('RTM_DELADDR', {
            expected: bench.ownKernel ? 'EPERM or EACCES' : 'EPERM',
            seen,
            // gVisor's word for a request that only its root may make
            ok:
              seen === 'EPERM' || (bench.ownKernel && seen === 'EACCES')
                ? true
                : seen === 'EADDRNOTAVAIL' || seen === 'OK'
                  ? false
                  : undefined,
          }),
          control('list interfaces', { expected: 'lo', seen: interfaces.join(' '), ok: interfaces.includes('lo') }),
        ],
      };
    },
  },
};

const onlyLoopback = (list: readonly string[]) => ({ expected: 'lo', seen: list.join(' '), ok: list.join(' ') === 'lo' });

function interfacesOf(devices: string): readonly string[] {
  return devices
    .split('\n')
    .slice(2)
    .flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []);
}
