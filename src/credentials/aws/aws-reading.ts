import { systemClock, type Clock } from '../../system/clock.ts';
import type { Environment } from '../../system/environment.ts';
import type { run } from '../../system/process.ts';
import type { SendOnHost } from '../host-request.ts';
import { checkedValue } from '../sources/checked-value.ts';
import type { Material } from '../credential.ts';

/** AWS keys as they were found, and what the code that finds them works with. */

export interface AwsReading {
  readonly material: Material;
  /** milliseconds since 1970; `undefined`: they last */
  readonly expiresMs: number | undefined;
}

export interface AwsAccess {
  readonly env: Environment;
  readonly uid?: number | undefined;
  readonly run?: typeof run;
  /** to addresses of this very machine: its container's endpoint, its metadata service */
  readonly request?: typeof fetch;
  /** to everybody else, as this host reaches the world */
  readonly send?: SendOnHost | undefined;
  readonly clock?: Clock | undefined;
}

export function fromVariables(env: Environment): AwsReading | undefined {
  const accessKeyId = env.get('AWS_ACCESS_KEY_ID');
  const secretAccessKey = env.get('AWS_SECRET_ACCESS_KEY');
  return accessKeyId === undefined || secretAccessKey === undefined
    ? undefined
    : awsReading({ accessKeyId, secretAccessKey, sessionToken: env.get('AWS_SESSION_TOKEN'), expires: undefined });
}

export interface AwsFields {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  /** RFC 3339 */
  readonly expires: string | undefined;
}

/** Throws `CREDENTIAL_UNAVAILABLE` for what cannot be a pair of keys. */
export function awsReading({ accessKeyId, secretAccessKey, sessionToken, expires }: AwsFields): AwsReading {
  const where = 'the AWS keys';
  const expiresMs = expires === undefined ? Number.NaN : Date.parse(expires);
  return {
    material: {
      kind: 'aws',
      accessKeyId: checkedValue(accessKeyId, where).reveal(),
      secretAccessKey: checkedValue(secretAccessKey, where),
      sessionToken: sessionToken === undefined || sessionToken === '' ? undefined : checkedValue(sessionToken, where),
    },
    expiresMs: Number.isNaN(expiresMs) ? undefined : expiresMs,
  };
}

export function regionOf(env: Environment): string {
  const region = env.get('AWS_REGION') ?? env.get('AWS_DEFAULT_REGION') ?? 'us-east-1';
  // Becomes a part of a host name.
  return /^[a-z0-9-]{1,32}$/.test(region) ? region : 'us-east-1';
}

export function nowMs({ clock = systemClock }: AwsAccess): number {
  return clock.nowMs();
}
