import { createServer } from 'node:http';

import { CasemateError } from '../../base/errors.ts';

/** Receives the redirect of a browser login on a loopback port (RFC 8252 section 7.3). It takes one code, then closes. */
export interface LoopbackCode {
  readonly redirectUri: string;
  /** `CODE#STATE`. Throws `LOGIN_ENDED` where the server refuses, `TIMED_OUT` after ten minutes. */
  readonly code: Promise<string>;
  readonly close: () => void;
}

const patienceMs = 10 * 60_000;

/** `port` 0: any free one. Throws `LOGIN_ENDED` where the port is taken. */
export async function listenForCode({ port, path }: { readonly port: number; readonly path: string }): Promise<LoopbackCode> {
  const result = Promise.withResolvers<string>();
  result.promise.catch(() => undefined);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const code = url.searchParams.get('code');
    if (url.pathname !== path) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
    response.end(code === null ? 'The login was refused. You can close this page.\n' : 'Done. You can close this page.\n');
    if (code === null) {
      result.reject(new CasemateError('LOGIN_ENDED', 'the authorization server refused the login'));
    } else {
      result.resolve(`${code}#${url.searchParams.get('state') ?? ''}`);
    }
  });
  const listening = Promise.withResolvers<number>();
  server.once('error', (cause) => {
    const message = `the loopback port ${port} that this login needs is taken`;
    listening.reject(new CasemateError('LOGIN_ENDED', message, { cause, hint: 'End what listens there, then try again.' }));
  });
  server.listen(port, '127.0.0.1', () => {
    const address = server.address();
    listening.resolve(typeof address === 'object' && address !== null ? address.port : port);
  });
  const actual = await listening.promise;
  const timer = setTimeout(
    () => result.reject(new CasemateError('TIMED_OUT', 'nobody finished the login in the browser')),
    patienceMs,
  );
  return {
    redirectUri: `http://localhost:${actual}${path}`,
    code: result.promise,
    close() {
      clearTimeout(timer);
      server.closeAllConnections();
      server.close();
    },
  };
}
