import { createInterface } from 'node:readline';

import type { Lab } from './lab.ts';

/** A caller over the Model Context Protocol, like a program that starts `casemate mcp`: it may send anything. */
export interface LabCaller {
  readonly call: (tool: string, args: object) => Promise<CallerAnswer>;
  readonly close: () => void;
}

export interface CallerAnswer {
  /** what was refused, by the tool or by the protocol; `undefined`: it was done */
  readonly refused: string | undefined;
  readonly result: Readonly<Record<string, unknown>>;
}

interface Message {
  readonly id?: number;
  readonly error?: { readonly message?: string };
  readonly result?: {
    readonly isError?: boolean;
    readonly content?: readonly { readonly text?: string }[];
    readonly structuredContent?: Readonly<Record<string, unknown>>;
  };
}

const longestMs = 60_000;

export async function openCaller(lab: Lab, name: string, root: string): Promise<LabCaller> {
  const { from, to, end } = lab.open(['mcp', '--root', root, '--caller', name, '--pace', '1000']);
  const waiting = new Map<number, (message: Message) => void>();
  let next = 0;
  createInterface({ input: from }).on('line', (line) => {
    const message = readMessage(line);
    waiting.get(message.id ?? -1)?.(message);
  });
  to.on('error', () => undefined);
  const send = (message: object): void => void to.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const ask = async (method: string, params: object): Promise<Message> => {
    next += 1;
    const id = next;
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const timer = setTimeout(() => reject(new Error(`no answer to ${method} within ${longestMs / 1000} s`)), longestMs);
    waiting.set(id, resolve);
    send({ id, method, params });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  };
  const clientInfo = { name: 'proof', version: '1' };
  await ask('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo });
  send({ method: 'notifications/initialized' });
  return {
    async call(tool, args) {
      const { error, result } = await ask('tools/call', { name: tool, arguments: args });
      const said = result?.isError === true ? (result.content?.[0]?.text ?? 'refused') : undefined;
      return { refused: error?.message ?? said, result: result?.structuredContent ?? {} };
    },
    close: end,
  };
}

function readMessage(line: string): Message {
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- what this very program prints
    return JSON.parse(line) as Message;
  } catch {
    return {};
  }
}
