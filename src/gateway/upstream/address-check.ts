import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';

/**
 * Which addresses a name may lead to. The check is on the very address that is dialled, at the moment it is dialled, so that an
 * answer that changes between check and use (DNS rebinding) gains nothing.
 */
export type AddressFault = 'not-an-address' | 'own-host' | 'not-public';

/** `undefined` when `address` is public unicast and none of `own`. */
export function addressFault(address: string, own: ReadonlySet<string> = ownAddresses()): AddressFault | undefined {
  const kind = kindOf(address);
  return kind.fault ?? (own.has(kind.canonical) ? 'own-host' : undefined);
}

interface Kind {
  /** what is wrong with it wherever it is dialled from */
  readonly fault: AddressFault | undefined;
  readonly canonical: string;
}

/** What an address is never changes, and to work it out costs more than the rest of a judgement: the last ones are kept. */
const kinds = new Map<string, Kind>();
const keptKinds = 1024;

function kindOf(address: string): Kind {
  const known = kinds.get(address);
  if (known !== undefined) {
    return known;
  }
  const kind = readKind(address);
  const [oldest] = kinds.keys();
  if (kinds.size >= keptKinds && oldest !== undefined) {
    kinds.delete(oldest);
  }
  kinds.set(address, kind);
  return kind;
}

function readKind(address: string): Kind {
  // A zone (fe80::1%eth0) or a short form (127.1) never names a public host.
  if (address.includes('%') || !isWhole(address)) {
    return { fault: 'not-an-address', canonical: '' };
  }
  const parsed = ipaddr.parse(address);
  // `unicast` leaves out loopback, private, link-local (metadata services), carrier-grade NAT, unique-local,
  // multicast, unspecified, documentation, and every form that carries an IPv4 address inside: mapped, 6to4, NAT64, Teredo.
  const fault = parsed.range() !== 'unicast' || isEmbedding(parsed) ? 'not-public' : undefined;
  return { fault, canonical: parsed.toString() };
}

function isWhole(address: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(address) || (address.includes(':') && ipaddr.IPv6.isValid(address));
}

/** IPv4-compatible (::a.b.c.d, RFC 4291), local-use NAT64 (RFC 8215), site-local and other forms ipaddr.js calls unicast. */
const more = ['::/96', '64:ff9b:1::/48', 'fec0::/10', '100::/64', '5f00::/16'].map((range) => ipaddr.IPv6.parseCIDR(range));

function isEmbedding(parsed: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  // Only 2000::/3 is handed out as global unicast (IANA).
  return (
    parsed instanceof ipaddr.IPv6 && (more.some((range) => parsed.match(range)) || ((parsed.parts[0] ?? 0) & 0xe000) !== 0x2000)
  );
}

/** Asking for them costs as much as the rest of a connection, and more with each network of this host. */
const freshMs = 1000;
let known: { readonly atMs: number; readonly addresses: ReadonlySet<string> } | undefined;

/** As they were a second ago at most. */
function ownAddresses(nowMs = performance.now()): ReadonlySet<string> {
  if (known === undefined || nowMs - known.atMs >= freshMs) {
    known = { atMs: nowMs, addresses: readOwnAddresses() };
  }
  return known.addresses;
}

function readOwnAddresses(): ReadonlySet<string> {
  const rows = Object.values(networkInterfaces()).flatMap((row) => row ?? []);
  return new Set(rows.filter((row) => isWhole(row.address)).map((row) => ipaddr.process(row.address).toString()));
}
