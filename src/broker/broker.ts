import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

import { CasemateError, toCasemateError } from '../base/errors.ts';
import { gathered } from '../base/gather.ts';
import { visible } from '../base/text.ts';
import type { SandboxContainers } from '../engines/containers.ts';
import type { LocalRecord } from '../gateway/local-names.ts';
import type { Clock } from '../system/clock.ts';
import { buildCall } from './build/build-call.ts';
import { readQuery, type Call, type Reply } from './call.ts';
import { commandCalls } from './command-calls.ts';
import { withoutHostPaths } from './container-view.ts';
import { openKeptNames } from './kept-names.ts';
import { ownContainers } from './own-containers.ts';
import type { BrokerParts, Offer } from './parts.ts';
import { readBody } from './read-body.ts';
import { BrokerRefusal, malformed, notOffered } from './refusal.ts';
import { routesOf, type Route } from './routes.ts';
import { createBrokerHttp, type BrokerHttp, type Incoming } from './serve-http.ts';
import { apiVersion, oldestApiVersion } from './system-calls.ts';

/**
 * Docker for the programs of one sandbox. Each request is parsed by a form that allows nothing unknown, and what is made of it
 * is written from scratch; the bytes of a client reach the engine only on the streams of its own containers. The engine's socket
 * is not visible inside.
 */
export interface Broker {
  readonly serve: (socket: Socket, record: LocalRecord) => void;
  /** whether a container that is there has this name */
  readonly isInside: (name: string) => boolean;
}

export interface BrokerOptions {
  readonly sandbox: string;
  readonly offer: Offer;
  /** asked when they are first needed, and again where that failed */
  readonly containers: () => Promise<SandboxContainers>;
  /** where the names are kept that the sandbox gives */
  readonly file: string;
  readonly clock: Clock;
}

let http: BrokerHttp | undefined;

export function createBroker(options: BrokerOptions): Broker {
  let ready: Promise<{ parts: BrokerParts; routes: readonly Route[] }> | undefined;
  let inside: ReadonlySet<string> = new Set();
  const renamed = async (parts: Pick<BrokerParts, 'containers' | 'names'>): Promise<void> => {
    const all = await ownContainers(parts);
    inside = new Set(
      all
        .flatMap(({ said }) => [said.name, said.hostname, ...Object.values(said.networks).flat()])
        .map((name) => name.toLowerCase()),
    );
  };
  let latest: LocalRecord | undefined;
  const open = async (): Promise<{ parts: BrokerParts; routes: readonly Route[] }> => {
    const containers = withFaults(await options.containers(), () => latest);
    const { sandbox, offer, clock } = options;
    const names = await openKeptNames(options.file);
    const parts: BrokerParts = { sandbox, offer, clock, containers, names, renamed: () => renamed({ containers, names }) };
    await parts.renamed();
    return { parts, routes: routesOf({ commands: commandCalls(parts), build: buildCall(options.file) }) };
  };
  const opened = async (): ReturnType<typeof open> => {
    const opening = (ready ??= open());
    opening.catch(() => {
      ready = ready === opening ? undefined : ready;
    });
    return opening;
  };
  return {
    serve(socket, record) {
      latest = record;
      http ??= createBrokerHttp();
      const answer = async (incoming: Incoming): Promise<Reply> => {
        try {
          const { parts, routes } = await opened();
          return await dispatch(incoming, { parts, routes, record });
        } catch (error) {
          await recordRefusal(incoming, record, error);
          throw error;
        }
      };
      http.serve(socket, answer, refusalOf);
    },
    isInside: (name) => inside.has(name),
  };
}

/** Whoever asked is inside and is not told what of the host was wrong with a container: the record is. */
function withFaults(containers: SandboxContainers, record: () => LocalRecord | undefined): SandboxContainers {
  return {
    ...containers,
    async start(container) {
      try {
        await containers.start(container);
      } catch (error) {
        if (error instanceof CasemateError && error.cause !== undefined) {
          const why = visible(toCasemateError(error.cause).message).slice(0, 300);
          record()?.note('docker.start-failed', { subject: container.slice(0, 12), detail: { why } }, error.code);
        }
        throw error;
      }
    },
  };
}

interface Dispatch {
  readonly parts: BrokerParts;
  readonly routes: readonly Route[];
  readonly record: LocalRecord;
}

async function dispatch(incoming: Incoming, { parts, routes, record }: Dispatch): Promise<Reply> {
  const path = pathOf(incoming.path);
  const sameMethod = routes.filter(({ method }) => method === incoming.method);
  for (const route of sameMethod) {
    const found = route.path.exec(path);
    if (found !== null) {
      // oxlint-disable-next-line no-await-in-loop -- the first one answers
      return await route.answer(callOf(incoming, found.slice(1), record), parts);
    }
  }
  throw notOffered('docker.run', `${incoming.method} ${visible(path).slice(0, 200)} is not offered to a sandbox`);
}

/** One spelling of each path: nothing is decoded, folded or resolved. Throws a refusal. */
function pathOf(path: string): string {
  const found = /^(?:\/v(\d)\.(\d{1,2}))?(\/[\w./:-]{1,400})$/.exec(path);
  if (found === null || /\/\/|\/\.\.?(?:\/|$)/.test(path)) {
    throw malformed('that path is not one of the API');
  }
  const [, major, minor, rest = ''] = found;
  if (major !== undefined && minor !== undefined) {
    const [asked, newest, oldest] = [[major, minor], apiVersion.split('.'), oldestApiVersion.split('.')].map(
      (pair) => Number(pair[0]) * 100 + Number(pair[1]),
    );
    if (asked === undefined || newest === undefined || oldest === undefined || asked > newest || asked < oldest) {
      throw malformed(
        `client version ${major}.${minor} is not spoken here. Supported API versions are ${oldestApiVersion} to ${apiVersion}`,
      );
    }
  }
  return rest;
}

function callOf(incoming: Incoming, params: readonly string[], record: LocalRecord): Call {
  const { query, content, isUpgrade, signal } = incoming;
  return {
    params,
    query: readQuery(query),
    read: async (schema) => readBody(schema, await wholeOf(content)),
    content,
    isUpgrade,
    signal,
    async effect(action, subject, detail = {}) {
      const isRecorded = await record.effect(action, { subject: visible(subject).slice(0, 300), detail });
      if (!isRecorded) {
        throw new BrokerRefusal(503, 'it cannot be put on record, so it is not done');
      }
    },
  };
}

const greatestJson = 1024 * 1024;

async function wholeOf(content: Readable): Promise<Buffer> {
  const whole = await gathered(content, greatestJson);
  if (whole === undefined) {
    throw malformed('the body is too long');
  }
  return whole;
}

async function recordRefusal({ method, path }: Incoming, record: LocalRecord, error: unknown): Promise<void> {
  const { rule, message } = refusalOf(error);
  if (rule !== undefined) {
    const effect = { subject: visible(`${method} ${path}`).slice(0, 300), rule, detail: { why: message.slice(0, 300) } };
    await record.deny(effect, { reason: rule === 'form' ? 'docker-malformed' : 'docker-not-offered', action: 'docker.denied' });
  }
}

/** Faults of the engine are told without what they say of the host. */
function refusalOf(error: unknown): BrokerRefusal {
  if (error instanceof BrokerRefusal) {
    return error;
  }
  const { code, message, hint } = toCasemateError(error);
  const text = withoutHostPaths(hint === undefined ? message : `${message}. ${hint}`);
  return code === 'PATH_INVALID'
    ? new BrokerRefusal(400, text, 'confinement')
    : code === 'UNSUPPORTED'
      ? new BrokerRefusal(409, text, 'limits')
      : new BrokerRefusal(500, text);
}
