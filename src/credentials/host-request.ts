/**
 * One request that the host makes itself, for example for keys or about an account, and how the gateway sends it with a
 * credential.
 */
export interface HostRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string | undefined;
  readonly timeoutMs: number;
}

export interface HostReply {
  readonly status: number;
  readonly body: string;
}

/** By the proxy and the trust of the host; no redirect is followed. It throws an `UnsentError` where nothing was sent. */
export type SendOnHost = (request: HostRequest) => Promise<HostReply>;
