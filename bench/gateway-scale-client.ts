/** Worker: callers in many sandboxes. Gets tasks, answers each with its samples in milliseconds. */
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { parentPort } from 'node:worker_threads';

/** A loopback port that stands for port 443 of a host in one sandbox, and whom that sandbox trusts there, PEM. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
}

export type ScaleTask =
  /** `count` connections one after the other, in turn to each place, each with its handshake, one request and its end */
  | { readonly kind: 'connections'; readonly places: readonly Place[]; readonly count: number }
  /** a connection to each place, kept open, and on each a request every `everyMs`, for `ms` in all */
  | { readonly kind: 'traffic'; readonly places: readonly Place[]; readonly everyMs: number; readonly ms: number };

const contexts = new Map<string, SecureContext>();

function contextOf(ca: string): SecureContext {
  const context = contexts.get(ca) ?? createSecureContext({ ca });
  contexts.set(ca, context);
  return context;
}

function open({ host, port, ca }: Place): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: host,
    secureContext: contextOf(ca),
    ALPNProtocols: ['http/1.1'],
  });
  socket.once('secureConnect', () => resolve(socket));
  socket.on('error', reject);
  socket.once('close', () => reject(new Error(`${host} closed the connection`)));
  return promise;
}

/** One request on an open connection; its answer has a length. */
function ask(socket: TLSSocket, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const gone = (): void => reject(new Error(`${host} closed the connection`));
  let head = '';
  let left: number | undefined;
  const take = (piece: Buffer): void => {
    if (left === undefined) {
      head += piece.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) {
        return;
      }
      if (!head.startsWith('HTTP/1.1 200')) {
        reject(new Error(`${host} answered ${head.slice(0, 40)}`));
      }
      left = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN) - (head.length - end - 4);
    } else {
      left -= piece.length;
    }
    if (left <= 0) {
      socket.off('data', take);
      socket.off('close', gone);
      resolve();
    }
  };
  socket.on('data', take);
  socket.once('close', gone);
  socket.write(`GET /4096 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return promise;
}

async function connections(places: readonly Place[], count: number): Promise<number[]> {
  const samples: number[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    const place = places[nth % places.length] as Place;
    const started = performance.now();
    const socket = await open(place);
    await ask(socket, place.host);
    samples.push(performance.now() - started);
    socket.destroy();
    // Below the connections a second that one sandbox may open, so that its limit is not what is measured.
    await sleep(Math.max(0, 6 - (performance.now() - started)));
  }
  return samples;
}

async function traffic(places: readonly Place[], everyMs: number, ms: number): Promise<number[]> {
  const samples: number[] = [];
  const end = performance.now() + ms;
  await Promise.all(
    places.map(async (place, index) => {
      await sleep((index / places.length) * everyMs);
      const socket = await open(place);
      while (performance.now() < end) {
        const started = performance.now();
        await ask(socket, place.host);
        samples.push(performance.now() - started);
        await sleep(Math.max(0, everyMs - (performance.now() - started)));
      }
      socket.destroy();
    }),
  );
  return samples;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

parentPort?.on('message', (task: ScaleTask) => {
  const work = task.kind === 'connections' ? connections(task.places, task.count) : traffic(task.places, task.everyMs, task.ms);
  work.then(
    (samples) => parentPort?.postMessage({ samples }),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  );
});
