import type { Socket } from 'node:net';

import type { HostName } from '../base/host.ts';
import type { Recorder } from './records.ts';

/**
 * Names that lead to something of the sandbox's own and never outside: a service of the daemon, such as the container broker, or
 * a program inside. The service behind a name makes its own decisions and records each effect here.
 */
export interface LocalNames {
  readonly places: readonly LocalPlace[];
  /** of a program inside, which listens on the loopback that all of the sandbox share */
  readonly isInside: (name: string) => boolean;
}

export interface LocalPlace {
  readonly host: HostName;
  readonly port: number;
  /** Paused, and nothing has been read. */
  readonly serve: (socket: Socket, record: LocalRecord) => void;
}

export type LocalRecord = Pick<Recorder, 'effect' | 'deny' | 'note'>;

export function placeAt(local: LocalNames | undefined, host: HostName, port: number): LocalPlace | undefined {
  return local?.places.find((place) => place.host === host && place.port === port);
}
