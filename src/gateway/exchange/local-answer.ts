import type { BoundCredential, LocalResponder } from '../../credentials/credential.ts';
import { bareEffect } from './answer-refusal.ts';
import type { Exchange } from '../exchange.ts';
import type { Outgoing } from '../injection/placing.ts';
import { judge, type Plan } from './judge.ts';
import type { Site } from '../live-sandbox.ts';
import { contentOf } from './read-content.ts';
import { refuse, type Refusal } from '../refusal.ts';

/**
 * Requests that a credential answers on the host, such as the renewal of a login: allowed by a rule, recorded, and never sent
 * out.
 */
export interface LocalExchange {
  readonly plan: Plan;
  readonly service: LocalResponder;
}

const maxContentBytes = 64 * 1024;

/** `undefined`: it goes the usual way, a denial included. */
export function localExchange(exchange: Exchange, site: Site): LocalExchange | undefined {
  if (!hasLocal(site.live.sandbox.credentials.values())) {
    return undefined;
  }
  const judgement = judge(exchange, site);
  return judgement.ok && answersItself(judgement.plan, exchange, site)
    ? { plan: judgement.plan, service: judgement.plan.credential?.local ?? nobody }
    : undefined;
}

function hasLocal(credentials: Iterable<BoundCredential>): boolean {
  for (const { local } of credentials) {
    if (local !== undefined) {
      return true;
    }
  }
  return false;
}

export function answersItself({ credential, head }: Plan, { method }: Exchange, { host }: Site): boolean {
  return credential?.local?.answers({ host, method, path: head.path }) === true;
}

const nobody: LocalResponder = {
  answers: () => false,
  answer: () => Promise.reject(new Error('nobody answers')),
};

/** Resolves when the answer is handed over, or to why there is none. Nothing is dialled. */
export async function answerLocally(
  exchange: Exchange,
  site: Site,
  { plan, service }: LocalExchange,
): Promise<Refusal | undefined> {
  const { recorder, counts } = site.live;
  const body = (await contentOf(exchange, site.live)?.read(maxContentBytes)) ?? Buffer.alloc(0);
  if ('reason' in body) {
    return { ...body, rule: plan.rule.id };
  }
  const bare = bareEffect(exchange, site);
  const effect = { ...bare, detail: { ...bare.detail, local: true }, rule: plan.rule.id };
  if (!(await recorder.open(effect))) {
    return refuse('journal-unwritable', 'the journal of the host cannot be written, so nothing is answered', plan.rule.id);
  }
  counts.allowed += 1;
  const answer = await service.answer({ host: site.host, method: exchange.method, path: plan.head.path, body });
  const fields = [...answer.fields, ['content-length', String(answer.body.length)] as const];
  exchange.respond(answer.status, fields).end(exchange.method === 'HEAD' ? undefined : answer.body);
  recorder.end(effect, 'ok', { status: answer.status });
  return undefined;
}

/** The upstream did not take the value: its owner may have another one, or get one. AWS answers 403 to keys that have ended. */
export function tellRejected({ credential }: Plan, status: number, { material }: Outgoing): void {
  if (material !== undefined && (status === 401 || (status === 403 && material.kind === 'aws'))) {
    credential?.onRejected?.(material);
  }
}
