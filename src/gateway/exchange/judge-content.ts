import { PassThrough, Readable } from 'node:stream';

import { gather } from '../../base/gather.ts';
import type { Content, ContentKind } from '../../policy/judging/decide.ts';
import { readGitRequest } from '../../policy/judging/git-request.ts';
import { readLfsBatch } from '../../policy/judging/lfs-batch.ts';
import { readMcpCalls } from '../../policy/judging/mcp.ts';
import { decodeContent } from './decode-content.ts';
import type { Exchange } from '../exchange.ts';
import { tokensOf, valuesOf } from '../http/fields.ts';
import { createPushReader, type PushReading } from '../git/git-push.ts';
import { judge, type Judgement, type Plan } from './judge.ts';
import type { Site } from '../live-sandbox.ts';
import { contentOf, holdContent } from './read-content.ts';
import { refuse, type Refusal } from '../refusal.ts';

/**
 * Judges a request by its content where the rules depend on it: the reference list of a push, the whole message of a call. What
 * was read is sent on exactly as it was judged, and nothing is sent before.
 */
export type WholeJudgement =
  | { readonly ok: true; readonly plan: Plan; readonly exchange: Exchange }
  | { readonly ok: false; readonly refusal: Refusal };

export interface HeadJudgement {
  /** of the same exchange by the rules of now */
  readonly first: Judgement;
  /** asked once the head has passed, before any content is read */
  readonly formFault: () => Refusal | undefined;
}

export async function judgeWhole(exchange: Exchange, site: Site, { first, formFault }: HeadJudgement): Promise<WholeJudgement> {
  if (!first.ok) {
    return first;
  }
  const malformed = formFault();
  if (malformed !== undefined) {
    return { ok: false, refusal: malformed };
  }
  const { inspect } = first.plan;
  if (inspect === undefined) {
    return { ok: true, plan: first.plan, exchange };
  }
  const read = await readers[inspect](exchange, site);
  if ('reason' in read) {
    return { ok: false, refusal: { ...read, rule: first.plan.rule.id } };
  }
  // Not yet `again`: what is refused is read to its end by whoever answers it.
  const judgement = judge(exchange, site, read);
  return judgement.ok ? { ...judgement, exchange: read.again() } : judgement;
}

interface Read {
  readonly content: Content;
  /** the same request, its content from the start again */
  readonly again: () => Exchange;
  /** of a push: what the caller's git understands */
  readonly capabilities?: readonly string[] | undefined;
}

const readers: Readonly<Record<ContentKind, (exchange: Exchange, site: Site) => Promise<Read | Refusal>>> = {
  'git-push': readPush,
  'lfs-batch': (exchange, site) =>
    readMessage(exchange, site, {
      isType: (type) => type === 'application/vnd.git-lfs+json',
      parse: (bytes) => readLfsBatch(bytes, repositoryOf(exchange)),
    }),
  mcp: (exchange, site) =>
    readMessage(exchange, site, { isType: (type) => type === 'application/json', parse: (bytes) => readMcpCalls(bytes) }),
};

interface MessageForm {
  readonly isType: (type: string) => boolean;
  readonly parse: (bytes: Buffer) => Content | undefined;
}

const maxMessageBytes = 4 * 1024 * 1024;

async function readMessage(exchange: Exchange, { live }: Site, { isType, parse }: MessageForm): Promise<Read | Refusal> {
  const content = contentOf(exchange, live);
  if (content === undefined || !isType(typeIn(exchange)) || codingOf(exchange) !== 'identity') {
    return refuse('content-not-readable', 'the rules here judge the content, and this request has none of the form they know');
  }
  const bytes = await inTime(content.read(maxMessageBytes), live.limits.headMs);
  if (!Buffer.isBuffer(bytes)) {
    return bytes;
  }
  const parsed = parse(bytes);
  return parsed === undefined
    ? refuse('content-not-readable', 'the content is not a message that every reader would read alike')
    : {
        content: parsed,
        again: () => ({ ...exchange, body: Readable.from([bytes]), isWhole: () => true, expectsContinue: false }),
      };
}

/** Without its parameters, of which only `charset=utf-8` may be there: another one makes other words of the same bytes. */
function typeIn({ fields }: Exchange): string {
  const [, type = ''] =
    /^([^;,\s]+)(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?$/.exec(
      valuesOf(fields, 'content-type').join(',').trim().toLowerCase(),
    ) ?? [];
  return type;
}

function inTime<T>(reading: Promise<T>, ms: number): Promise<T | Refusal> {
  const { promise, resolve } = Promise.withResolvers<Refusal>();
  const timer = setTimeout(() => resolve(refuse('malformed-request', 'the content did not come in time')), ms);
  return Promise.race([reading, promise]).finally(() => clearTimeout(timer));
}

async function readPush(exchange: Exchange, { live }: Site): Promise<Read | Refusal> {
  const plain = inClear(exchange);
  const type = valuesOf(exchange.fields, 'content-type').join(',').toLowerCase();
  if (plain?.body === undefined || type !== 'application/x-git-receive-pack-request') {
    return refuse('content-not-readable', 'the rules here judge what a push changes, and this request is none that git makes');
  }
  if (exchange.expectsContinue) {
    exchange.sendContinue();
  }
  const { body } = plain;
  const reading = await inTime(
    readCommands(body, (bytes) => holdContent(exchange, bytes, live)),
    live.limits.headMs,
  );
  if ('reason' in reading) {
    return reading;
  }
  if (reading.last.kind !== 'read') {
    const why = reading.last.kind === 'unreadable' ? reading.last.why : 'it ends in the middle';
    return refuse('content-not-readable', `this push cannot be judged: ${why}`);
  }
  const { updates, capabilities } = reading.last;
  return {
    content: { kind: 'git-push', repository: repositoryOf(exchange), updates },
    again: () => ({ ...plain, body: continued(reading.read, body), expectsContinue: false }),
    capabilities,
  };
}

interface Commands {
  readonly last: PushReading;
  /** what came so far */
  readonly read: Buffer;
}

/** Reads to the end of the list of references, then pauses. `hold`: whether so much more may be held. */
function readCommands(body: Readable, hold: (bytes: number) => boolean): Promise<Commands> {
  const { promise, resolve } = Promise.withResolvers<Commands>();
  const reader = createPushReader();
  const pieces = gather();
  const settle = (last: PushReading): void => {
    body.pause();
    body.off('data', take);
    body.off('end', end);
    resolve({ last, read: pieces.take() });
  };
  const take = (piece: Buffer): void => {
    pieces.add(piece);
    const reading: PushReading = hold(piece.length)
      ? reader.push(piece)
      : { kind: 'unreadable', why: 'too much content is held for this sandbox at the same time' };
    if (reading.kind !== 'incomplete') {
      settle(reading);
    }
  };
  const end = (): void => settle(reader.end());
  body.on('data', take);
  body.once('end', end);
  body.once('error', () => settle({ kind: 'unreadable', why: 'its content broke off' }));
  body.once('close', () => settle({ kind: 'unreadable', why: 'its content broke off' }));
  return promise;
}

/** What was read already, then the rest as it comes. */
function continued(read: Buffer, rest: Readable): Readable {
  const whole = new PassThrough();
  // Whoever reads it sees the fault; until somebody does, it must not end the process.
  whole.on('error', () => undefined);
  whole.write(read);
  if (rest.readableEnded) {
    whole.end();
    return whole;
  }
  rest.once('error', (error) => whole.destroy(error));
  rest.once('close', () => {
    if (!rest.readableEnded) {
      whole.destroy(new Error('the source was cut'));
    }
  });
  return rest.pipe(whole);
}

function codingOf({ fields }: Exchange): string {
  return tokensOf(fields, 'content-encoding').join(',') || 'identity';
}

/** The request without its content coding: what goes on is what was judged. `undefined`: a coding git does not use. */
function inClear(exchange: Exchange): Exchange | undefined {
  const coding = codingOf(exchange);
  if (coding === 'identity' || exchange.body === undefined) {
    return coding === 'identity' ? exchange : undefined;
  }
  if (coding !== 'gzip' && coding !== 'x-gzip') {
    return undefined;
  }
  const fields = exchange.fields.filter(([name]) => name !== 'content-encoding' && name !== 'content-length');
  return { ...exchange, fields, body: decodeContent(exchange.body, coding) };
}

function repositoryOf({ method, target }: Exchange): string {
  return readGitRequest({ method, path: target })?.repository ?? '';
}
