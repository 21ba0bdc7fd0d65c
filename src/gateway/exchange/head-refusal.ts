import type { Field } from '../http/fields.ts';
import { statusOf } from '../refusal.ts';
import { denials } from './denials.ts';

/** Answers what could not be read as a request, and so has no method, path or preference for JSON to refer to. */
export interface HeadRefusal {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

export type HeadRefusalReason = 'headers-too-large' | 'malformed-request';

export function headRefusal(reason: HeadRefusalReason): HeadRefusal {
  const { about, next = '' } = denials[reason];
  const lines = [
    'casemate: blocked by the network gateway of this sandbox',
    `  reason   ${about} (${reason})`,
    `  next     ${next}`,
  ];
  const body = Buffer.from(`${lines.join('\n')}\n`);
  const fields: readonly Field[] = [
    ['content-type', 'text/plain; charset=utf-8'],
    ['content-length', String(body.length)],
    ['x-casemate-denied', reason],
    ['cache-control', 'no-store'],
  ];
  return { status: statusOf(reason), fields, body };
}
