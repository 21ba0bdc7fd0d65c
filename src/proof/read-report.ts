import { z } from 'zod';

import { guaranteeIds } from './guarantees.ts';
import type { Report } from './statement.ts';

/** Reads a report from a file that someone handed over: of the expected form, or why not. Nothing in it is trusted yet. */

const text = z.string().max(64 * 1024);
const verdict = z.enum(['held', 'broken', 'not-applicable', 'inconclusive']);
const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));

const row = z.strictObject({
  kind: z.enum(['attack', 'control']),
  what: text,
  expected: text,
  seen: text,
  ok: z.boolean().optional(),
  from: z.enum(['inside', 'outside']),
});

const report = z.strictObject({
  statement: z.strictObject({
    version: z.literal(1),
    kind: z.literal('casemate proof'),
    time: text,
    casemate: text,
    target: z.strictObject({ name: text, sandbox: text.optional() }),
    profile: text,
    only: z.array(text).optional(),
    policyHash: text,
    planHash: text,
    image: z.strictObject({ recipe: text, digest: text }),
    engine: text,
    runtime: text,
    runtimeVersion: text,
    kernel: text,
    architecture: text,
    waived: z.array(text),
    verdicts: z.partialRecord(z.enum(guaranteeIds), verdict),
    probes: z.int().nonnegative(),
    observations: z.int().nonnegative(),
    findings: hex(64),
  }),
  attestation: z.strictObject({ key: hex(16), publicKey: text, signature: hex(128) }),
  verdicts: z.array(z.strictObject({ guarantee: z.enum(guaranteeIds), verdict, probes: z.array(text) })),
  findings: z.array(
    z.strictObject({ probe: text, verdict, why: text.optional(), rows: z.array(row), ms: z.number().nonnegative() }),
  ),
});

export function readReport(value: unknown): { readonly report: Report } | { readonly fault: string } {
  const parsed = report.safeParse(value);
  if (parsed.success) {
    return { report: parsed.data };
  }
  const [issue] = parsed.error.issues;
  return { fault: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not of the expected form'}` };
}
