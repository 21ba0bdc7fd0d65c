import type { ContainerBody } from './container-bodies.ts';
import { fieldsOf, rowsOf, textOf } from './read-json.ts';

/** Compares what the engine and the kernel say of a started container with what was requested. */

/** As much of it as is to be compared. */
export type Asked = Pick<ContainerBody, 'Image' | 'HostConfig'> & Partial<ContainerBody>;

/** Names of what differs, e.g. `HostConfig.CapDrop`; empty when all is as asked. Pure. `told`: what `inspect` answers. */
export function differences({ HostConfig, ...config }: Asked, told: unknown): readonly string[] {
  const answer = fieldsOf(told);
  return [
    ...differing('Config', config, fieldsOf(answer['Config'])),
    ...differing('HostConfig', HostConfig, fieldsOf(answer['HostConfig'])),
    ...(textOf(answer['Image']) === config.Image ? [] : ['Image']),
    ...networksOf(answer['NetworkSettings'], HostConfig['NetworkMode']).map((name) => `NetworkSettings.Networks.${name}`),
  ];
}

/** Networks that lead anywhere, but for the one that was asked for. */
function networksOf(settings: unknown, asked: unknown): readonly string[] {
  return Object.keys(fieldsOf(fieldsOf(settings)['Networks'])).filter((name) => name !== 'none' && name !== asked);
}

function differing(place: string, asked: unknown, told: unknown): readonly string[] {
  if (isEmpty(asked)) {
    return isEmpty(told) ? [] : [place];
  }
  if (Array.isArray(asked)) {
    const rows = rowsOf(told);
    const isSame = rows.length === asked.length && asked.every((row, index) => differing(place, row, rows[index]).length === 0);
    return isSame ? [] : [place];
  }
  if (typeof asked === 'object') {
    const there = fieldsOf(told);
    return Object.entries(fieldsOf(asked)).flatMap(([name, value]) => differing(`${place}.${name}`, value, there[name]));
  }
  return asked === told ? [] : [place];
}

/** The engine leaves out what is nothing, or says it in another way. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) {
    return true;
  }
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/**
 * Of the first process: ids that are not the host's root, no right at all, no way to one, a filter of system calls. Pure.
 * `maps`: of users and groups in a user namespace (proc(5), `uid_map`); none where the ids are the host's.
 */
export function kernelFaults(status: string, firstUser: string, maps: readonly string[] = []): readonly string[] {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
  const [uid, gid] = firstUser
    .split(':')
    .map((id, index) => (maps.length === 0 ? Number(id) : hostId(maps[index] ?? '', Number(id))));
  const ids = (id: number | undefined): string => Array.from({ length: 4 }, () => id ?? 'unmapped').join('\t');
  const expected: Readonly<Record<string, string>> = {
    Uid: ids(uid),
    Gid: ids(gid),
    ...Object.fromEntries(['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => [`Cap${set}`, '0000000000000000'])),
    NoNewPrivs: '1',
    Seccomp: '2',
  };
  return Object.entries(expected)
    .filter(([name, value]) => field(name) !== value)
    .map(([name]) => `kernel: ${name} is ${field(name) || 'not told'}`)
    .concat(maps.some((map) => (hostId(map, 0) ?? 0) === 0) ? ["kernel: root inside is the host's root"] : []);
}

/** What an id inside is outside; `undefined` where it is nothing. */
function hostId(map: string, id: number): number | undefined {
  const rows = map
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/).map(Number));
  const [inside = 0, outside = 0] = rows.find(([first = 0, , count = 0]) => id >= first && id < first + count) ?? [
    id,
    Number.NaN,
  ];
  return Number.isNaN(outside) ? undefined : outside + id - inside;
}
