import { setMaxListeners } from 'node:events';

import type { HostName } from '../../base/host.ts';
import type { BoundCredential } from '../../credentials/credential.ts';
import { readOverride } from '../upstream/destination.ts';
import type { Dialer } from '../upstream/dialer.ts';
import type { Field } from '../http/fields.ts';
import { inject } from '../injection/inject.ts';
import type { GatewayLimits } from '../limits.ts';
import { createUpstream } from '../upstream/upstream.ts';

/**
 * One call that the host itself makes with a real credential, on the same path as those of sandboxes, to see whether it still
 * works.
 */
export interface Probe {
  readonly host: HostName;
  readonly port: number;
  /** of the rule, e.g. `http://127.0.0.1:8080` */
  readonly upstream: string | undefined;
  readonly method: 'GET';
  /** path and query */
  readonly target: string;
  readonly fields: readonly Field[];
  readonly credential: BoundCredential;
}

export type ProbeAnswer =
  | { readonly ok: true; readonly status: number; readonly secret: string | undefined }
  | { readonly ok: false; readonly reason: string; readonly message: string };

export interface ProbeWorld {
  readonly dialer: Dialer;
  readonly limits: GatewayLimits;
  readonly nowMs: number;
}

const patienceMs = 20_000;

/** Never rejects. Of the answer only its status is looked at. */
export async function probe(asked: Probe, { dialer, limits, nowMs }: ProbeWorld): Promise<ProbeAnswer> {
  const { host, port, method, target, credential } = asked;
  const override = asked.upstream === undefined ? undefined : readOverride(asked.upstream);
  const authority = port === 443 ? host : `${host}:${port}`;
  const injected = await inject({
    method,
    host,
    authority,
    target,
    credential,
    fields: asked.fields,
    phantoms: credential.phantoms(),
    content: undefined,
    nowMs,
  });
  if (!injected.ok) {
    return { ok: false, ...injected.refusal };
  }
  const { outgoing } = injected;
  const secure = override?.tls ?? true;
  const upstream = createUpstream({ destination: { host, port, override }, secure, dialer, limits });
  const signal = AbortSignal.timeout(patienceMs);
  setMaxListeners(0, signal);
  try {
    const { fields } = outgoing;
    const answer = await upstream.request({
      method,
      target: outgoing.target,
      authority,
      fields,
      body: undefined,
      signal,
      prefersHttp2: false,
      takesTrailers: false,
    });
    if (!answer.ok) {
      return { ok: false, ...answer.fault };
    }
    answer.value.body.on('error', () => undefined).destroy();
    return { ok: true, status: answer.value.status, secret: outgoing.secret };
  } finally {
    upstream.close();
  }
}
