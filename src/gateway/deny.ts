import { visible } from '../base/text.ts';
import { tokensOf, valuesOf, type Field } from './fields.ts';
import { pushReport, type RefusedPush } from './git-report.ts';
import { isDenial, statusOf, type Refusal, type RefusalReason } from './refusal.ts';

/** A refusal put into words that a person, or an agent, can act on. */
export interface Asked {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly method: string;
  /** without the query, which may hold secrets */
  readonly path: string;
  readonly fields: readonly Field[];
}

export interface Explanation {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

export function explain(refusal: Refusal, asked: Asked): Explanation {
  if (refusal.push !== undefined) {
    return explainPush(refusal, refusal.push, asked);
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

function text(refusal: Refusal, asked: Asked): string {
  const rows = [
    ['asked', urlOf(asked)],
    ['reason', `${refusal.message} (${refusal.reason})`],
    ...(refusal.rule === undefined ? [] : [['rule', refusal.rule]]),
    ['next', nextStep(refusal, asked)],
  ];
  return [
    `casemate: ${title(refusal)}`,
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(7)} ${visible(value)}`),
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
    next: nextStep(refusal, asked),
  };
  // Package clients print `error` as it is.
  const answer = isPackageClient(asked.fields) ? { error: error.message, casemate: error } : { type: 'error', error };
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

function nextStep(refusal: Refusal, { host, port }: Asked): string {
  const asked = askStep(refusal);
  if (asked !== undefined) {
    return asked;
  }
  if (layerOf(refusal) === 'network policy') {
    return `Do not retry. Whoever runs the sandbox can see why, and which rule is missing, on the host with: casemate policy explain ${host}:${port}`;
  }
  if (refusal.reason === 'foreign-key' || refusal.reason === 'phantom-misplaced') {
    return 'Use the key that is in the sandbox, only in the header it belongs to; the gateway puts the real one in its place.';
  }
  const guarded = guardSteps[refusal.reason];
  if (guarded !== undefined) {
    return guarded;
  }
  if (refusal.reason === 'credential-revoked') {
    return 'Do not retry. Whoever runs the sandbox took this key away, and can give it back on the host with: casemate credentials restore';
  }
  return passing.has(refusal.reason)
    ? 'Try again later; the policy allows this.'
    : 'The journal on the host has the details: casemate journal query';
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

const guardSteps: Readonly<Partial<Record<RefusalReason, string>>> = {
  'login-ended': 'Do not retry, and do not log in from here: whoever runs the sandbox does it on the host with: casemate login',
  'secret-outgoing': 'Do not retry, and do not send it in another form: whoever runs the sandbox has been told.',
  'budget-exceeded': 'Do not retry. Whoever runs the sandbox can see what was used with: casemate usage',
  'upload-too-large': 'Do not retry. Send less, or ask whoever runs the sandbox to raise "uploads" in the policy.',
  'package-withheld': 'Use an older version, or ask whoever runs the sandbox to allow this one under "packages" in the policy.',
};

/** What may be gone at the next attempt. */
const passing: ReadonlySet<RefusalReason> = new Set(['slow', 'unreachable', 'too-busy', 'unresolvable', 'credential-changed']);

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
  return sent || accepted.some((type) => type === 'application/json' || type === 'text/event-stream');
}
