import { createHash } from 'node:crypto';

import type { HostName } from '../../base/host.ts';
import { matchesHost } from '../../policy/matching/host-pattern.ts';
import type { NetworkRule } from '../../policy/policy.ts';

/**
 * The names that one sandbox has asked for, each with its own address from 127.64.0.0/10. An address is derived from sandbox and
 * name, so it is the same after a restart of the daemon, and it is never given to another name.
 */
export interface Names {
  /** The address of a name, assigned at first sight; `undefined` when the table is full. */
  readonly addressOf: (host: HostName) => string | undefined;
  readonly nameAt: (address: string) => HostName | undefined;
  readonly size: () => number;
}

export interface NamesOptions {
  /** salt of the addresses */
  readonly sandboxId: string;
  /** the rules in force */
  readonly rules: () => readonly NetworkRule[];
  /** names of the sandbox's own places */
  readonly local?: readonly HostName[] | undefined;
  /** how many names no rule allows */
  readonly limit: number;
  /** how many more names of allowed wildcards; exact names of rules are always there */
  readonly allowedLimit: number;
}

const firstAddress = 0x7f400000;
const addressCount = 0x400000;

export function createNames({ sandboxId, rules, local = [], limit, allowedLimit }: NamesOptions): Names {
  const addresses = new Map<HostName, number>();
  const hosts = new Map<number, HostName>();
  const room = { denied: limit, allowed: allowedLimit };

  const assign = (host: HostName): number => {
    const start = createHash('sha256').update(`${sandboxId}\0${host}`).digest().readUInt32BE(0) % addressCount;
    for (let step = 0; ; step += 1) {
      const address = firstAddress + ((start + step) % addressCount);
      const last = address & 0xff;
      if (last !== 0 && last !== 0xff && !hosts.has(address)) {
        hosts.set(address, host);
        addresses.set(host, address);
        return address;
      }
    }
  };
  for (const host of new Set([...exactHosts(rules()), ...local])) {
    assign(host);
  }
  return {
    addressOf(host) {
      const known = addresses.get(host);
      if (known !== undefined) {
        return dotted(known);
      }
      const kind = rules().some((rule) => matchesHost(rule.host, host)) ? 'allowed' : 'denied';
      if (room[kind] <= 0) {
        return undefined;
      }
      room[kind] -= 1;
      return dotted(assign(host));
    },
    nameAt(address) {
      const number = undotted(address);
      return number === undefined ? undefined : hosts.get(number);
    },
    size: () => hosts.size,
  };
}

function exactHosts(rules: readonly NetworkRule[]): readonly HostName[] {
  const hosts = rules.filter((rule) => rule.host.kind === 'exact').map((rule) => rule.host.host);
  // Sorted: two names that collide get the same addresses after every restart.
  return [...new Set(hosts)].toSorted();
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

function undotted(address: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  return match === null ? undefined : match.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Whether a queried name is one that can be explained: several labels, or named by a rule; no reserved suffix. */
export function isServed(host: HostName, rules: readonly NetworkRule[]): boolean {
  if (rules.some((rule) => rule.host.kind === 'exact' && rule.host.host === host)) {
    return true;
  }
  const last = host.slice(host.lastIndexOf('.') + 1);
  return host.includes('.') && !reserved.has(last);
}

/** RFC 6761, RFC 6762, RFC 7686 and reverse lookups: names that no resolver should answer for. */
const reserved = new Set(['localhost', 'local', 'arpa', 'invalid', 'onion', 'internal', 'lan', 'home', 'localdomain']);
