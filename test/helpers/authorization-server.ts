import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A stand-in for an authorization server on loopback, for tests and trials. No one logs in here, and its tokens open only the
 * stand-in for the model API. It follows OAuth 2.0 with PKCE, rotates refresh tokens, and ends a token family when a used
 * refresh token comes again (RFC 9700 section 4.14).
 */
export interface AuthorizationServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly counts: { refreshes: number; granted: number; reused: number; revoked: number };
  /** Whether this access token is valid now. */
  readonly accepts: (accessToken: string) => boolean;
  /** every token it has ever given, the newest last */
  readonly issued: readonly string[];
  /** What goes wrong from now on; `undefined`: nothing. */
  readonly fail: (fault: Fault | undefined) => void;
  /** A family as after a login. */
  readonly grant: () => Granted;
  readonly close: () => Promise<void>;
}

export interface Fault {
  readonly kind: 'error' | 'slow' | 'invalid_grant' | 'lost-answer';
  /** for `slow`: before the answer, milliseconds */
  readonly ms?: number | undefined;
}

export interface Granted {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** milliseconds since 1970 */
  readonly expiresMs: number;
}

export interface AuthorizationServerOptions {
  /** life of an access token, seconds */
  readonly expiresIn: number;
  /** how long a used refresh token still gives the refresh token it gave, with an access token; default 0: it ends the family */
  readonly graceMs?: number | undefined;
  /** how long an access token is still taken after its end, as real ones allow for clocks and for what is under way; default 0 */
  readonly leewayMs?: number | undefined;
  /** outer form of the tokens; default: that of Claude */
  readonly form?: 'claude' | 'codex' | undefined;
  readonly nowMs?: (() => number) | undefined;
  readonly port?: number | undefined;
}

interface Family {
  alive: boolean;
  refreshToken: string;
  /** used ones, with when and what they gave */
  readonly used: Map<string, { readonly atMs: number; readonly answer: Readonly<Record<string, unknown>> }>;
  readonly accessTokens: Map<string, number>;
}

interface State {
  readonly options: AuthorizationServerOptions;
  readonly nowMs: () => number;
  readonly families: Family[];
  readonly codes: Map<string, { readonly challenge: string; readonly redirectUri: string }>;
  readonly counts: AuthorizationServer['counts'];
  readonly issued: string[];
  fault: Fault | undefined;
}

export async function startAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const state: State = {
    options,
    nowMs: options.nowMs ?? Date.now,
    families: [],
    codes: new Map(),
    counts: { refreshes: 0, granted: 0, reused: 0, revoked: 0 },
    issued: [],
    fault: undefined,
  };
  const server = createServer((request, response) => {
    serve(request, response, state).catch(() => response.destroy());
  });
  const listening = Promise.withResolvers<number>();
  server.once('error', listening.reject);
  server.listen(options.port ?? 0, '127.0.0.1', () => {
    const address = server.address();
    listening.resolve(typeof address === 'object' && address !== null ? address.port : 0);
  });
  const port = await listening.promise;
  return {
    url: `http://127.0.0.1:${port}`,
    counts: state.counts,
    issued: state.issued,
    accepts: (given) => accepts(given, state),
    fail(fault) {
      state.fault = fault;
    },
    grant() {
      const family = newFamily(state);
      const accessToken = newAccessToken(family, state);
      return { accessToken, refreshToken: family.refreshToken, expiresMs: state.nowMs() + options.expiresIn * 1000 };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((ended) => server.close(ended));
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, state: State): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const fields = fieldsOf(await bodyOf(request));
  if (request.method === 'GET' && url.pathname.endsWith('/oauth/authorize')) {
    authorize(url.searchParams, response, state);
  } else if (request.method === 'POST' && url.pathname.endsWith('/revoke')) {
    revoke(fields, state);
    reply(response, 200, {});
  } else if (request.method === 'POST' && url.pathname.endsWith('/oauth/token')) {
    await token(fields, response, state);
  } else if (request.method === 'GET' && url.pathname === '/api/oauth/profile') {
    const [status, answer] = profile((request.headers.authorization ?? '').replace(/^Bearer /, ''), state);
    reply(response, status, answer);
  } else {
    reply(response, 404, { error: 'not_found' });
  }
}

function accepts(accessToken: string, { families, nowMs, options }: State): boolean {
  const endsAfterMs = nowMs() - (options.leewayMs ?? 0);
  return families.some((family) => family.alive && (family.accessTokens.get(accessToken) ?? 0) > endsAfterMs);
}

/** As Claude's API answers it: beside the plan, who it is. */
function profile(accessToken: string, state: State): Answer {
  const account = { uuid: 'account-stand-in', email: 'person@example.com', display_name: 'A Person' };
  const organization = { uuid: 'organisation-stand-in', name: 'A Team', organization_type: 'claude_max' };
  return accepts(accessToken, state) ? [200, { account, organization }] : [401, { error: 'invalid_token' }];
}

/** As if a person had agreed: the code goes where the client asked for it, in the form the page would show. */
function authorize(parameters: URLSearchParams, response: ServerResponse, state: State): void {
  const code = randomBytes(16).toString('hex');
  const redirectUri = parameters.get('redirect_uri') ?? '';
  state.codes.set(code, { challenge: parameters.get('code_challenge') ?? '', redirectUri });
  const given = parameters.get('state') ?? '';
  if (redirectUri.startsWith('http://localhost:')) {
    const location = `${redirectUri}?code=${code}&state=${encodeURIComponent(given)}`;
    response.writeHead(302, { location }).end();
  } else {
    response.writeHead(200, { 'content-type': 'text/plain' }).end(`${code}#${given}\n`);
  }
}

async function token(fields: ReadonlyMap<string, string>, response: ServerResponse, state: State): Promise<void> {
  const isRefresh = fields.get('grant_type') === 'refresh_token';
  state.counts.refreshes += isRefresh ? 1 : 0;
  const { fault } = state;
  if (fault?.kind === 'error' || fault?.kind === 'invalid_grant') {
    reply(response, fault.kind === 'error' ? 500 : 400, { error: fault.kind === 'error' ? 'server_error' : 'invalid_grant' });
    return;
  }
  const [status, answer] = isRefresh ? refresh(fields.get('refresh_token') ?? '', state) : exchange(fields, state);
  await deliver(response, fault, [status, answer]);
}

/** The family has changed by now, as it has when a real answer is under way. */
async function deliver(response: ServerResponse, fault: Fault | undefined, [status, answer]: Answer): Promise<void> {
  if (fault?.kind === 'slow') {
    await sleep(fault.ms ?? 1000);
  }
  if (fault?.kind === 'lost-answer') {
    response.destroy();
  } else {
    reply(response, status, answer);
  }
}

type Answer = readonly [status: number, answer: Readonly<Record<string, unknown>>];

function exchange(fields: ReadonlyMap<string, string>, state: State): Answer {
  const code = fields.get('code') ?? '';
  const begun = state.codes.get(code);
  state.codes.delete(code);
  const challenge = createHash('sha256')
    .update(fields.get('code_verifier') ?? '')
    .digest('base64url');
  if (begun === undefined || begun.challenge !== challenge || begun.redirectUri !== fields.get('redirect_uri')) {
    return [400, { error: 'invalid_grant' }];
  }
  return [200, tokensOf(newFamily(state), state)];
}

function refresh(sent: string, state: State): Answer {
  const current = state.families.find((family) => family.refreshToken === sent && family.alive);
  if (current !== undefined) {
    current.refreshToken = newRefreshToken(state);
    const answer = tokensOf(current, state);
    current.used.set(sent, { atMs: state.nowMs(), answer });
    state.counts.granted += 1;
    return [200, answer];
  }
  const owner = state.families.find(({ used }) => used.has(sent));
  const use = owner?.used.get(sent);
  if (owner?.alive === true && use !== undefined && state.nowMs() - use.atMs < (state.options.graceMs ?? 0)) {
    // Anew, because the one of then may have ended meanwhile.
    return [200, { ...use.answer, access_token: newAccessToken(owner, state) }];
  }
  if (owner !== undefined) {
    owner.alive = false;
    state.counts.reused += 1;
  }
  return [400, { error: 'invalid_grant', error_description: 'Refresh token not found or invalid' }];
}

function revoke(fields: ReadonlyMap<string, string>, state: State): void {
  const sent = fields.get('token') ?? '';
  for (const family of state.families) {
    if (family.refreshToken === sent || family.accessTokens.has(sent)) {
      family.alive = false;
      state.counts.revoked += 1;
    }
  }
}

function newFamily(state: State): Family {
  const family: Family = { alive: true, refreshToken: newRefreshToken(state), used: new Map(), accessTokens: new Map() };
  state.families.push(family);
  return family;
}

function tokensOf(family: Family, state: State): Readonly<Record<string, unknown>> {
  return {
    token_type: 'Bearer',
    access_token: newAccessToken(family, state),
    refresh_token: family.refreshToken,
    expires_in: state.options.expiresIn,
    scope: 'user:inference user:profile',
  };
}

function newAccessToken(family: Family, state: State): string {
  const expiresMs = state.nowMs() + state.options.expiresIn * 1000;
  const random = randomBytes(46).toString('hex');
  // Codex learns from its token when that ends, and whoever takes over its login does, too.
  const claims = { sub: 'stand-in', exp: Math.floor(expiresMs / 1000) };
  const made = issued(state, {
    claude: `sk-ant-oat01-${random}AA`,
    codex: `${jsonPart({ alg: 'none' })}.${jsonPart(claims)}.${random}`,
  });
  family.accessTokens.set(made, expiresMs);
  return made;
}

function newRefreshToken(state: State): string {
  const random = randomBytes(46).toString('hex');
  return issued(state, { claude: `sk-ant-ort01-${random}AA`, codex: `rt_${random}` });
}

function issued(state: State, forms: Readonly<Record<'claude' | 'codex', string>>): string {
  const made = forms[state.options.form ?? 'claude'];
  state.issued.push(made);
  return made;
}

function jsonPart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function fieldsOf(text: string): ReadonlyMap<string, string> {
  if (!text.startsWith('{')) {
    return new Map(new URLSearchParams(text));
  }
  const value: unknown = JSON.parse(text);
  return new Map(Object.entries(value ?? {}).map(([name, one]) => [name, String(one)]));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces).subarray(0, 65_536).toString('utf8');
}

function reply(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_standin' });
  response.end(JSON.stringify(value));
}
