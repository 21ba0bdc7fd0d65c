import { createServer as createHttpServer } from 'node:http';

import { createCertificates } from './certificates.ts';
import { startResolver } from './resolver.ts';
import { createListeners, handler, rawServer, scriptedServer, secureServer, type Note, type Serving } from './servers.ts';
import type { Arrival, Respond, Script, World } from './world.ts';

/** Starts the outside of a lab: servers on their own loopback ports, their certificates, a resolver. */
/** What the gateway lets through must arrive, or nobody could tell that it did. */
const mostHeadBytes = 4 * 1024 * 1024;

export interface StartedWorld extends World {
  /** authorities that the lab's daemon trusts, PEM */
  readonly trustedPem: string;
  readonly resolverAddress: string;
}

export async function startWorld(): Promise<StartedWorld> {
  const seen: Arrival[] = [];
  const note: Note = (arrival) => {
    const row = { at: Date.now(), ...arrival };
    seen.push(row);
    return row;
  };
  const { trustedPem, contexts } = await createCertificates();
  const resolver = await startResolver();
  const listeners = createListeners(note);
  let respond: Respond | undefined;
  let script: Script | undefined;
  const serving = (server: string): Serving => ({ note, server, respond: () => respond });
  const secure = async (name: string, kind: keyof typeof contexts): Promise<number> =>
    await listeners.open(name, secureServer(contexts[kind], serving(name)));
  const ports = {
    tls: await secure('tls', 'valid'),
    expired: await secure('expired', 'expired'),
    early: await secure('early', 'early'),
    stranger: await secure('stranger', 'stranger'),
    misnamed: await secure('misnamed', 'misnamed'),
    plain: await listeners.open('plain', createHttpServer({ maxHeaderSize: mostHeadBytes }, handler(serving('plain')))),
    raw: await listeners.open('raw', rawServer('raw', note)),
    inner: await listeners.open('inner', rawServer('inner', note)),
    scripted: await listeners.open(
      'scripted',
      scriptedServer(note, () => script),
    ),
  };
  return {
    seen,
    asked: resolver.asked,
    trustedPem,
    resolverAddress: resolver.address,
    ports,
    resolve: resolver.answer,
    respond(answer) {
      respond = answer;
    },
    script(answer) {
      script = answer;
    },
    listen: async (server, address, port) => ({ port: await listeners.open(server, rawServer(server, note), { address, port }) }),
    async close() {
      resolver.close();
      await listeners.close();
    },
  };
}
