import type { Client } from './client.ts';
import type { Calls, Method } from './protocol.ts';

/** One call on a connection of its own, which is closed whatever came of it. */
export async function askOnce<M extends Method>(
  connect: () => Promise<Client>,
  method: M,
  params: Calls[M]['params'],
): Promise<Calls[M]['result']> {
  const client = await connect();
  try {
    return await client.call(method, params);
  } finally {
    client.close();
  }
}
