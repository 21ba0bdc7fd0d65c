import { json } from 'node:stream/consumers';

import { asObject } from '../../base/json.ts';
import type { ContainerSpec } from '../../engines/containers.ts';
import type { BrokerParts } from '../parts.ts';
import { BrokerRefusal } from '../refusal.ts';
import type { ImageState } from './image-state.ts';

/** One `RUN` of a build: an ordinary container of the sandbox, whose files then become an image. */

export interface Step {
  readonly state: ImageState & { readonly image: string };
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  /** what it writes, as it comes */
  readonly say: (text: string) => Promise<void>;
}

/** Id of the image. Throws a refusal where the command failed. */
export async function runStep({ containers }: BrokerParts, { state, command, signal, say }: Step): Promise<string> {
  const spec: ContainerSpec = {
    // No container that a client can see.
    note: '',
    image: state.image,
    entrypoint: [],
    command,
    env: [...state.env].map(([name, value]) => `${name}=${value}`),
    workingDir: state.workingDir,
    tty: false,
    openStdin: false,
    stdinOnce: false,
    mounts: [],
    memoryFolders: [],
    network: 'sandbox',
    memoryBytes: Math.floor(containers.share.memoryBytes / 2),
    pids: containers.share.pids,
    cpus: containers.share.cpus,
    isReadonly: false,
    autoRemove: false,
  };
  const container = await containers.create(spec);
  try {
    await containers.start(container);
    const choice = { stdout: true, stderr: true, follow: true, timestamps: false, tail: 'all', since: '0', until: '0' };
    for await (const text of textOf(await containers.logs(container, choice, signal))) {
      // Whoever reads slowly holds the command back, and fills no memory here.
      await say(text);
    }
    // Its output ends a moment before the engine has written the end down.
    const ended = asObject(await json(await containers.wait(container, 'not-running', signal)));
    const code = Number(ended['StatusCode'] ?? 125);
    if (code !== 0) {
      throw new BrokerRefusal(400, `The command '${command.join(' ').slice(0, 300)}' returned a non-zero code: ${code}`);
    }
    return await containers.images.commit(container, { Env: spec.env, WorkingDir: state.workingDir });
  } finally {
    await containers.remove(container).catch(() => undefined);
  }
}

/** The engine puts eight bytes before each piece: which stream, and how long. Both streams are shown as they come. */
async function* textOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8');
  let rest = Buffer.alloc(0);
  for await (const piece of source) {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(4)) {
      const end = 8 + rest.readUInt32BE(4);
      yield decoder.decode(rest.subarray(8, end), { stream: true });
      rest = rest.subarray(end);
    }
  }
}
