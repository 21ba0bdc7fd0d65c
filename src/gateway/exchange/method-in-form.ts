import { hasFunctions } from '../../policy/judging/functions.ts';
import { chain, type BodyStep } from '../bodies/body-steps.ts';
import { valuesOf } from '../http/fields.ts';
import { createFormScan, type FieldScan } from '../http/form-scan.ts';
import { createJsonMemberScan } from '../http/json-member-scan.ts';
import { createMultipartScan } from '../http/multipart-scan.ts';
import { refuse, type Refusal } from '../refusal.ts';
import { asksForOther, isMethodParameter } from './rewriting.ts';
import type { Run } from './run.ts';

/**
 * Finds a field of a form, or of a JSON object, that makes a server carry out another method than the one that the rules judged
 * (Rails, Laravel, Symfony, Express and others). The request is broken off before such a field has passed.
 */
export function methodInForm({ exchange, plan }: Run, stop: (refusal: Refusal) => void): BodyStep | undefined {
  if (!hasFunctions(plan.rule) || exchange.body === undefined) {
    return undefined;
  }
  const { method } = exchange;
  const scans = scansOf(valuesOf(exchange.fields, 'content-type'), method, {
    isSought: isMethodParameter,
    isRefused: (name, value) => isMethodParameter(name) && asksForOther(value, method),
  });
  if (scans === 'unreadable') {
    return broken(() =>
      stop(refuse('content-not-readable', 'the content does not say clearly what it is, or where its parts end', plan.rule.id)),
    );
  }
  const refused = (): void => {
    const message = 'a field of the content asks for another method than the one that the rules have judged';
    stop(refuse('function-not-allowed', message, plan.rule.id));
  };
  return chain(scans.map((scan) => holding(scan, refused)));
}

function scansOf(types: readonly string[], method: string, scan: FieldScan): readonly Scan[] | 'unreadable' {
  const [type = '', ...more] = types;
  if (more.length > 0) {
    return 'unreadable';
  }
  const form = formScan(type, method, scan);
  // Laravel reads it in JSON, too, and Express whatever its programs say, all where a POST says so; Parse, whatever its type.
  const isJson = /json/i.test(type);
  const json = method === 'POST' ? createJsonMemberScan(scan, { isDeclared: isJson }) : undefined;
  if (form === 'unreadable') {
    return form;
  }
  const isNeither = form === undefined && !isJson;
  const isClear = isOneText(type) || (isNeither && !isOfUnicode(type));
  const scans = [form, json].filter((one) => one !== undefined);
  return isClear || scans.length === 0 ? scans : 'unreadable';
}

function formScan(type: string, method: string, scan: FieldScan): Scan | 'unreadable' | undefined {
  if (/multipart\//i.test(type)) {
    return createMultipartScan(type, scan);
  }
  // Rack takes a POST that states no type for a form.
  const isForm = /x-www-form-urlencoded/i.test(type) || (type === '' && method === 'POST');
  return isForm ? createFormScan(scan) : undefined;
}

/** Another charset, which Express and Tomcat take (UTF-16, EBCDIC), would make other names of the same bytes. */
function isOneText(type: string): boolean {
  const stated = type.match(/charset/gi)?.length ?? 0;
  return (
    stated === 0 ||
    (stated === 1 && /;\s*charset\s*=\s*"?(?:utf-?8|us-ascii|iso-8859-\d{1,2}|latin-?1|windows-125\d)"?\s*(?:;|$)/i.test(type))
  );
}

/** What reads JSON of any type takes no other charsets (Express). */
function isOfUnicode(type: string): boolean {
  return /charset[^;]*utf/i.test(type);
}

/** Answers where what may go on ends, -1: none of it. `isLast`: nothing follows. */
type Scan = (data: Buffer, isLast: boolean) => number;

const nothing = Buffer.alloc(0);

function holding(scan: Scan, refused: () => void): BodyStep {
  let held = nothing;
  let isStopped = false;
  const take = (data: Buffer, isLast: boolean): Buffer => {
    const end = isStopped ? -1 : scan(data, isLast);
    if (end === -1) {
      held = nothing;
      if (!isStopped) {
        isStopped = true;
        refused();
      }
      return nothing;
    }
    // A copy: the piece may be written over by whoever gave it.
    held = end === data.length ? nothing : Buffer.from(data.subarray(end));
    return data.subarray(0, end);
  };
  return {
    push: (piece) => (piece.length === 0 ? piece : take(held.length === 0 ? piece : Buffer.concat([held, piece]), false)),
    finish: () => take(held, true),
  };
}

function broken(refused: () => void): BodyStep {
  return {
    push(): Buffer {
      refused();
      return nothing;
    },
    finish: () => nothing,
  };
}
