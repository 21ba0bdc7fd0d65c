/** Worker: the caller of the gateway's measurement. Gets tasks, answers each with its samples in milliseconds. */
import { Agent, request } from 'node:https';
import { parentPort, workerData } from 'node:worker_threads';

export interface ClientData {
  readonly ca: string[];
}

export interface Task {
  readonly host: string;
  readonly port: number;
  readonly method: 'GET' | 'POST';
  /** size of the answer, or of what is sent */
  readonly bytes: number;
  readonly requests: number;
}

const { ca } = workerData as ClientData;
const agents = new Map<string, Agent>();
const piece = Buffer.alloc(64 * 1024, 'x');

function agentFor({ host, port }: Task): Agent {
  const key = `${host}:${port}`;
  const agent = agents.get(key) ?? new Agent({ keepAlive: true, ca, servername: host, maxSockets: 1 });
  agents.set(key, agent);
  return agent;
}

function once(task: Task): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { host, port, method, bytes } = task;
  const headers = { host, ...(method === 'POST' ? { 'content-length': bytes } : {}) };
  const path = method === 'POST' ? '/' : `/${bytes}`;
  const sent = request({ agent: agentFor(task), host: '127.0.0.1', port, method, path, headers }, (response) => {
    response.once('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`status ${response.statusCode}`))));
    response.once('error', reject);
    response.resume();
  });
  sent.once('error', reject);
  let left = method === 'POST' ? bytes : 0;
  const send = (): void => {
    while (left > 0) {
      const part = left < piece.length ? piece.subarray(0, left) : piece;
      left -= part.length;
      if (!sent.write(part)) {
        sent.once('drain', send);
        return;
      }
    }
    sent.end();
  };
  send();
  return promise;
}

async function run(task: Task): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < task.requests; index += 1) {
    const started = performance.now();
    await once(task);
    samples.push(performance.now() - started);
  }
  return samples;
}

parentPort?.on('message', (task: Task) => {
  run(task).then(
    (samples) => parentPort?.postMessage({ samples }),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  );
});
