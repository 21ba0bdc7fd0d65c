import { visible } from '../../base/text.ts';
import { readGitRequest } from '../../policy/judging/git-request.ts';
import { missingRule } from '../../policy/proposing/missing-rule.ts';
import { denials } from './denials.ts';
import { tokensOf, valuesOf, type Field } from '../http/fields.ts';
import { pushReport, type RefusedPush } from '../git/git-report.ts';
import { isDenial, statusOf, type Refusal } from '../refusal.ts';

/** Words a refusal so that a person, or an agent, can act on it. */
export interface Asked {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly method: string;
  /** without the query, which may hold secrets */
  readonly path: string;
  /** with the query; nothing of that is shown */
  readonly target?: string | undefined;
  readonly fields: readonly Field[];
}

export interface Explanation {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: Buffer;
  /** behind the content */
  readonly trailers?: readonly Field[] | undefined;
}

export function explain(refusal: Refusal, asked: Asked): Explanation {
  if (refusal.push !== undefined) {
    return explainPush(refusal, refusal.push, asked);
  }
  if (isGrpc(asked.fields)) {
    return explainGrpc(refusal, asked);
  }
  const isJson = wantsJson(asked.fields);
  const body = Buffer.from(isJson ? json(refusal, asked) : text(refusal, asked));
  return {
    status: statusOf(refusal.reason),
    fields: [
      ['content-type', isJson ? 'application/json' : 'text/plain; charset=utf-8'],
      ['content-length', String(body.length)],
      ['x-casemate-denied', refusal.reason],
      ['cache-control', 'no-store'],
      ...(refusal.fields ?? []),
    ],
    body,
  };
}

/** A push is refused in an answer that git understands: of an error it would show the number alone. */
function explainPush(refusal: Refusal, push: RefusedPush, asked: Asked): Explanation {
  const body = pushReport(push, text(refusal, asked).trimEnd().split('\n'));
  return {
    status: 200,
    fields: [
      ['content-type', 'application/x-git-receive-pack-result'],
      ['content-length', String(body.length)],
      ['x-casemate-denied', refusal.reason],
      ['cache-control', 'no-store'],
    ],
    body,
  };
}

function isGrpc(fields: readonly Field[]): boolean {
  return valuesOf(fields, 'content-type').some((value) => /^application\/grpc(?:[+;]|$)/i.test(value));
}

/** As a status of gRPC (https://grpc.io/docs/guides/status-codes/), so that its clients raise what it says. */
function explainGrpc(refusal: Refusal, asked: Asked): Explanation {
  // PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE
  const status = isDenial(refusal.reason) ? (statusOf(refusal.reason) === 429 ? '8' : '7') : '14';
  const rule = missing(refusal, asked);
  const message = `casemate: ${refusal.message} (${refusal.reason}). ${rule === undefined ? '' : `Missing: ${rule}. `}${nextStep(refusal, asked)}`;
  return {
    status: 200,
    fields: [
      ['content-type', 'application/grpc'],
      ['x-casemate-denied', refusal.reason],
    ],
    body: Buffer.alloc(0),
    trailers: [
      ['grpc-status', status],
      ['grpc-message', percentEncoded(visible(message))],
    ],
  };
}

/** Only what no header can hold, and the sign itself. */
function percentEncoded(message: string): string {
  return message.replaceAll(/[^\x20-\x24\x26-\x7e]/gu, (character) => encodeURIComponent(character));
}

function text(refusal: Refusal, asked: Asked): string {
  const rule = missing(refusal, asked);
  const rows = [
    ['asked', urlOf(asked)],
    ['reason', `${refusal.message} (${refusal.reason})`],
    ...(refusal.rule === undefined ? [] : [['rule', refusal.rule]]),
    ...(rule === undefined ? [] : [['missing', rule]]),
    ['next', nextStep(refusal, asked)],
  ];
  return [
    `casemate: ${title(refusal)}`,
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(8)} ${visible(value)}`),
    '',
  ].join('\n');
}

/** Readable for clients of model APIs too: they look for `type` and for `error.message`. */
function json(refusal: Refusal, asked: Asked): string {
  const { host, port, method, path } = asked;
  const error = {
    type: refusal.errorType ?? 'casemate_denied',
    code: refusal.reason,
    message: `casemate: ${refusal.message}. ${nextStep(refusal, asked)}`,
    layer: layerOf(refusal),
    host,
    port,
    method,
    path,
    rule: refusal.rule ?? null,
    missing: missing(refusal, asked) ?? null,
    propose: layerOf(refusal) === 'network policy' ? proposeCommand(refusal, asked) : null,
    next: nextStep(refusal, asked),
  };
  // Package clients print `error` as it is.
  const answer = isPackageClient(asked.fields)
    ? { error: error.message, casemate: error }
    : { type: 'error', message: error.message, error };
  return `${JSON.stringify(answer)}\n`;
}

function isPackageClient(fields: readonly Field[]): boolean {
  return (
    tokensOf(fields, 'accept').some((type) => type.startsWith('application/vnd.npm.')) ||
    valuesOf(fields, 'user-agent').some((value) => /^(?:npm|pnpm|yarn|bun)\//i.test(value))
  );
}

function title(refusal: Refusal): string {
  return isDenial(refusal.reason)
    ? `blocked by the ${layerOf(refusal)} of this sandbox`
    : `the ${layerOf(refusal)} could not carry this out`;
}

function layerOf(refusal: Refusal): string {
  return /^(?:host|port|function|content)-not-allowed$/.test(refusal.reason) ? 'network policy' : 'network gateway';
}

function nextStep(refusal: Refusal, asked: Asked): string {
  return askStep(refusal) ?? knownStep(refusal) ?? proposal(refusal, asked);
}

/** Ends in the command that helps, where there is one. */
function knownStep({ reason, credential }: Refusal): string | undefined {
  const { next } = denials[reason];
  return next === undefined || credential === undefined ? next : `${next} ${shellWord(credential)}`;
}

function proposal(refusal: Refusal, asked: Asked): string {
  return `Do not retry. Whoever runs the sandbox can see why, and allow it, on the host with: ${proposeCommand(refusal, asked)}`;
}

/** Of git and MCP no command proposes rules: there the one that is missing is shown. */
function proposeCommand({ reason, content }: Refusal, { host, port, method, path }: Asked): string {
  const place = `${host}${port === 443 ? '' : `:${port}`}`;
  if (content !== undefined || readGitRequest({ method, path }) !== undefined) {
    return `casemate policy explain ${place} ${shellWord(method)} ${shellWord(path)}`;
  }
  const request = reason === 'port-not-allowed' ? '' : ` --method ${shellWord(method)} --path ${shellWord(path)}`;
  return `casemate policy propose ${place}${request}`;
}

function shellWord(word: string): string {
  return /^[A-Za-z0-9@%+=:,./_-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `undefined`: no rule is missing, or none could say exactly this. */
function missing(refusal: Refusal, { host, port, method, path, target = path }: Asked): string | undefined {
  return layerOf(refusal) === 'network policy'
    ? missingRule({ host, port, request: { method, path: target }, content: refusal.content })
    : undefined;
}

/** Where a person may still allow it, or has just been asked; `undefined`: nobody is. */
function askStep({ ask }: Refusal): string | undefined {
  if (ask?.why === 'denied-by-person') {
    return 'Do not retry. A person was asked and has refused this.';
  }
  if (ask?.why === 'beyond-bound') {
    return 'Do not retry. The policy of the organisation does not allow it, and nobody here can.';
  }
  return ask?.id === undefined
    ? undefined
    : `${ask.why === 'no-answer' ? 'A person was asked and has not answered in time. ' : ''}Do not retry unless you are told to. Whoever runs the sandbox can allow it on the host with: casemate approve ${ask.id}`;
}

function urlOf({ scheme, host, port, method, path }: Asked): string {
  const isUsual = port === (scheme === 'https' ? 443 : 80);
  return `${method} ${scheme}://${host}${isUsual ? '' : `:${port}`}${path}`;
}

function wantsJson(fields: readonly Field[]): boolean {
  const accepted = tokensOf(fields, 'accept').map((part) => part.split(';')[0]);
  if (accepted.includes('text/html') || accepted.includes('text/plain')) {
    return false;
  }
  const sent = valuesOf(fields, 'content-type').some((value) => value.startsWith('application/json'));
  return (
    sent ||
    accepted.some(
      (type) => type === 'application/json' || type === 'text/event-stream' || type === 'application/vnd.git-lfs+json',
    )
  );
}
