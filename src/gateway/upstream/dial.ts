import type { StopSignal } from '../../base/stop.ts';
import { lookup, Resolver } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';

import { addressFault } from './address-check.ts';
import type { Destination } from './destination.ts';
import { faulty, type Attempt } from '../fault.ts';
import { connectWire, type Wire } from './wire.ts';

/**
 * Opens TCP connections to destinations: resolves on the host, checks each address, and dials exactly the address it checked.
 */

/** All addresses of a name; rejects when there are none. */
export type Resolve = (host: string) => Promise<readonly string[]>;
/** Starts connecting to an address. */
export type Dial = (target: DialTarget) => Socket;
/** The same for bytes that are only passed on. */
export type DialRelay = (target: DialTarget) => Socket | Wire;

export interface DialTarget {
  readonly address: string;
  readonly port: number;
}

export interface DialOptions<Connection extends Socket | Wire = Socket> {
  readonly resolve: Resolve;
  readonly dial: (target: DialTarget) => Connection;
  readonly timeoutMs: number;
  readonly signal: StopSignal;
  /** default: public addresses that are none of this host's */
  readonly isAddressAllowed?: ((address: string) => boolean) | undefined;
}

export const resolveOnHost: Resolve = async (host) => (await lookup(host, { all: true })).map((found) => found.address);

/** Asks one name server, `ADDRESS:PORT`, whatever the host's own settings and files say. */
export function resolveBy(server: string): Resolve {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([server]);
  return async (host) => {
    const found = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    return found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  };
}

export const dialOnHost: Dial = ({ address, port }) =>
  connect({
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });

export const dialRelayOnHost: DialRelay = (target) => connectWire(target.address, target.port) ?? dialOnHost(target);

/** How long one address may keep the next waiting (RFC 8305 section 5). */
const attemptDelayMs = 250;

/** The connection, or why there is none. An override's address is not checked: a human wrote it into the policy. */
export async function dialDestination<C extends Socket | Wire>(
  { host, port, override }: Destination,
  options: DialOptions<C>,
): Promise<Attempt<C>> {
  if (override !== undefined) {
    return dialName(override.host, override.port, { ...options, check: () => true });
  }
  const isPublic = (address: string): boolean => addressFault(address) === undefined;
  return dialName(host, port, { ...options, check: options.isAddressAllowed ?? isPublic });
}

/** Dials a name without an address check: only for what a human configured, never for what a sandbox asked for. */
export function dialConfigured(host: string, port: number, options: DialOptions): Promise<Attempt<Socket>> {
  return dialName(host, port, { ...options, check: () => true });
}

interface CheckedOptions<C extends Socket | Wire> extends DialOptions<C> {
  readonly check: (address: string) => boolean;
}

async function dialName<C extends Socket | Wire>(host: string, port: number, options: CheckedOptions<C>): Promise<Attempt<C>> {
  const limit = limited(options.signal, options.timeoutMs);
  try {
    return await dialWithin(limit, { host, port, options });
  } finally {
    limit.end();
  }
}

/** When a dialling is to be given up. A signal of its own would cost a tenth of a relayed connection. */
interface Limit {
  isOver: boolean;
  /** called once, when it is over; one at a time listens */
  onOver: (() => void) | undefined;
  readonly end: () => void;
}

/** Over with `signal`, or when the time is up. `AbortSignal.any` and `timeout` would hold on to all of it until then. */
function limited(signal: StopSignal, timeoutMs: number): Limit {
  const give = (): void => {
    limit.isOver = true;
    limit.onOver?.();
  };
  const timer = setTimeout(give, timeoutMs);
  const limit: Limit = {
    isOver: signal.aborted,
    onOver: undefined,
    end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', give);
    },
  };
  signal.addEventListener('abort', give, { once: true });
  return limit;
}

interface Dialled<C extends Socket | Wire> {
  readonly host: string;
  readonly port: number;
  readonly options: CheckedOptions<C>;
}

async function dialWithin<C extends Socket | Wire>(limit: Limit, { host, port, options }: Dialled<C>): Promise<Attempt<C>> {
  const found = await within(limit, addressesOf(host, options.resolve));
  if (found === undefined || found.length === 0) {
    return limit.isOver
      ? faulty('slow', `${host} was not resolved in time`)
      : faulty('unresolvable', `the host's own resolver finds no address of ${host}: the host may have no network`);
  }
  const allowed = found.filter(options.check);
  if (allowed.length === 0) {
    return faulty('address-refused', `${host} leads to an address that is not public`);
  }
  const socket = await firstConnected(allowed.slice(0, 8), {
    dial: (address) => options.dial({ address, port }),
    limit,
  });
  if (socket !== undefined) {
    return { ok: true, value: socket };
  }
  return limit.isOver
    ? faulty('slow', `${host}:${port} did not answer within ${options.timeoutMs} ms`)
    : faulty('unreachable', `${host}:${port} cannot be reached`);
}

async function addressesOf(host: string, resolve: Resolve): Promise<readonly string[] | undefined> {
  if (isIP(host) !== 0) {
    return [host];
  }
  try {
    return await resolve(host);
  } catch {
    return undefined;
  }
}

/** The first connection that stands; the others are closed. A further attempt starts on failure or after a short wait. */
function firstConnected<C extends Socket | Wire>(
  addresses: readonly string[],
  { dial, limit }: { readonly dial: (address: string) => C; readonly limit: Limit },
): Promise<C | undefined> {
  const { promise, resolve } = Promise.withResolvers<C | undefined>();
  const open = new Set<C>();
  let next = 0;
  let timer: NodeJS.Timeout | undefined;
  const settle = (winner: C | undefined): void => {
    clearTimeout(timer);
    limit.onOver = undefined;
    next = addresses.length;
    for (const connection of open) {
      if (connection !== winner) {
        connection.destroy();
      }
    }
    resolve(winner);
  };
  const start = (): void => {
    clearTimeout(timer);
    const address = addresses[next];
    next += 1;
    if (address === undefined) {
      return;
    }
    const connection = dial(address);
    open.add(connection);
    timer = setTimeout(start, attemptDelayMs);
    whenConnected(connection, (isConnected) => {
      if (isConnected) {
        settle(connection);
        return;
      }
      connection.destroy();
      if (open.delete(connection) && next < addresses.length) {
        start();
      } else if (open.size === 0) {
        settle(undefined);
      }
    });
  };
  if (limit.isOver) {
    resolve(undefined);
    return promise;
  }
  limit.onOver = () => settle(undefined);
  start();
  return promise;
}

function whenConnected(connection: Socket | Wire, done: (isConnected: boolean) => void): void {
  if ('whenSettled' in connection) {
    connection.whenSettled(done);
    return;
  }
  connection.once('connect', () => done(true));
  // Stays for the whole life of the socket: an error without a listener would end the process.
  connection.on('error', () => done(false));
}

/** `undefined`: it was over before. `work` never rejects. */
function within<T>(limit: Limit, work: Promise<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<T | undefined>();
  const settle = (value: T | undefined): void => {
    limit.onOver = undefined;
    resolve(value);
  };
  if (limit.isOver) {
    return Promise.resolve(undefined);
  }
  limit.onOver = () => settle(undefined);
  void work.then(settle);
  return promise;
}
