import type { Socket } from 'node:net';

import type { IngressConnection } from '../../system/ingress.ts';
import type { Sender } from '../guards/guarding.ts';
import type { LiveSandbox, Site } from '../live-sandbox.ts';
import { phantomSearch } from './phantom-search.ts';
import type { Detail, Effect } from '../records.ts';
import type { RefusalReason } from '../refusal.ts';
import { maskSecrets } from './secret-search.ts';

/** Raises what a person must look at: a key where it must not be. One line `alarm.<name>`, with the process that sent it. */
export type AlarmName = 'phantom-misplaced' | 'foreign-key' | 'secret-outgoing';

const names: readonly AlarmName[] = ['phantom-misplaced', 'foreign-key', 'secret-outgoing'];

export function alarmOf(reason: RefusalReason): AlarmName | undefined {
  return names.find((name) => name === reason);
}

/** How long the search for the sender may hold the record up. */
const senderMs = 300;

/** The same effect with who sent it, as far as that can be told. Never rejects. */
export async function withSender(name: AlarmName, effect: Effect, site: Site): Promise<Effect> {
  const sender = await site.sender?.();
  return sender === undefined ? effect : { ...effect, detail: { ...effect.detail, ...described(name, sender, site.live) } };
}

/** Records an alarm about what is let through made harmless; a refusal is recorded where it is answered. */
export async function raise(
  name: AlarmName,
  site: Site,
  { effect, outcome }: { effect: Effect; outcome: string },
): Promise<void> {
  site.live.sandbox.guarding?.onAlarm?.();
  site.live.recorder.note(`alarm.${name}`, await withSender(name, effect, site), outcome);
}

/** A command line may hold the very thing that must not be written down; a key that nobody here knows cannot be masked in it. */
function described(name: AlarmName, { pid, command }: Sender, live: LiveSandbox): Detail {
  const told = name === 'foreign-key' ? (command.split(' ')[0] ?? '') : command;
  const masked = maskSecrets(told, phantomSearch(live.phantoms()));
  const needles = live.sandbox.guarding?.known.needlesFor(live.sandbox.id);
  const text = needles === undefined ? masked : maskSecrets(masked, needles);
  return { pid, process: text.slice(0, 200) };
}

type Ends = Pick<Socket, 'localAddress' | 'localPort' | 'remotePort'>;

/** What the sandbox knows a connection by, where it was carried here and the socket's own ends are others. */
const carried = new WeakMap<Socket, Ends>();

export function noteEnds({ socket, localAddress, localPort, remotePort }: IngressConnection): void {
  if (remotePort !== undefined) {
    carried.set(socket, { localAddress, localPort, remotePort });
  }
}

/** Asked at most once for each connection, and only when there is a reason. */
export function senderOn(socket: Socket, live: LiveSandbox): () => Promise<Sender | undefined> {
  const { localAddress = '', localPort = 0, remotePort = 0 }: Ends = carried.get(socket) ?? socket;
  let asked: Promise<Sender | undefined> | undefined;
  return () => {
    const { guarding } = live.sandbox;
    const place = { localPort: remotePort, remoteAddress: localAddress.replace(/^::ffff:/, ''), remotePort: localPort };
    asked ??= guarding?.processOf === undefined ? Promise.resolve(undefined) : bounded(guarding.processOf(place));
    return asked;
  };
}

async function bounded(work: Promise<Sender | undefined>): Promise<Sender | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), senderMs);
  const sender = await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
  return sender;
}
