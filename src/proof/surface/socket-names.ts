import type { PublishedSocket } from './published.ts';

/** Names of socket families and types (socket(2), address_families(7)), as people know them. */
const families: Readonly<Record<number, string>> = {
  1: 'Unix',
  2: 'IPv4',
  10: 'IPv6',
  15: 'key',
  16: 'netlink',
  17: 'packet',
  29: 'CAN',
  30: 'TIPC',
  31: 'Bluetooth',
  38: 'crypto',
  40: 'vsock',
  44: 'XDP',
};
const types: Readonly<Record<number, string>> = { 1: 'stream', 2: 'datagram', 3: 'raw' };

export function familyName(family: number): string {
  return families[family] ?? `family ${family}`;
}

/** One phrase for each family: `IPv4 (stream, datagram)`. */
export function socketPhrases(sockets: readonly PublishedSocket[]): readonly string[] {
  const byFamily = Map.groupBy(sockets, ({ family }) => family);
  return [...byFamily].map(([family, rows]) => {
    if (family === 16) {
      return `${familyName(family)} (routing)`;
    }
    const kinds = [...new Set(rows.flatMap(({ type }) => (type === undefined ? [] : [types[type] ?? `type ${type}`])))];
    return kinds.length === 0 ? familyName(family) : `${familyName(family)} (${kinds.join(', ')})`;
  });
}
