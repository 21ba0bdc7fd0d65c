import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { isCasemateError } from '../../src/base/errors.ts';
import { parseHost } from '../../src/base/host.ts';
import { parseSandboxId } from '../../src/base/ids.ts';
import type { AskAnswer, Question } from '../../src/gateway/asks/question.ts';
import { operatorMethods } from '../../src/daemon/protocol.ts';
import { approve, deny, listRequests, liveRules, type Approval } from '../../src/sandbox/requests/approvals.ts';
import { parsePlan } from '../../src/sandbox/plan/plan.ts';
import { rulingOf } from '../../src/sandbox/requests/ruling.ts';
import { sandboxLab, type Lab } from '../helpers/sandbox-lab.ts';

let lab: Lab;
let sandbox: string;
const stay = new AbortController().signal;
const actor = 'user:7';

beforeEach(async () => {
  lab = await sandboxLab();
});
afterEach(async () => {
  lab.context.asks.close(sandbox);
  await lab.remove();
});

async function open(policy = ''): Promise<void> {
  const row = await lab.make({ name: 'work', policy });
  sandbox = row.id;
  const plan = parsePlan(row.plan);
  const answers = () => lab.store.answers(parseSandboxId(row.id));
  lab.context.asks.open({
    id: row.id,
    name: row.name,
    settings: { waitMs: 60_000, when: 'always' },
    bound: plan.network.bound,
    rules: () => rulingOf(plan, answers()).rules,
    policyHash: () => rulingOf(plan, answers()).policyHash,
    note: () => undefined,
  });
}

const question = (path: string): Question => ({
  host: parseHost('api.example.com'),
  port: 443,
  scheme: 'https',
  method: 'GET',
  path,
  target: path,
  reason: 'host-not-allowed',
  contentBytes: undefined,
  contentType: undefined,
  program: undefined,
});
const raise = (path: string): Promise<AskAnswer> => lab.context.asks.raise(sandbox, question(path), stay);
const views = () => listRequests(lab.context, (id) => liveRules(lab.context, id));
const idOf = (path: string): string => views().find((view) => view.path === path)?.id ?? 'ask-none';
const approving = (more: Partial<Approval> & Pick<Approval, 'id'>) => approve(lab.context, { scope: 'once', actor, ...more });
const codeOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'none',
    (error: unknown) => (isCasemateError(error) ? error.code : String(error)),
  );

describe('an answer', () => {
  test('for once is on record, with who gave it, before anything goes', async () => {
    await open();
    const held = raise('/x');
    const id = idOf('/x');
    await approving({ id });
    expect(await held).toEqual({ kind: 'once', id });
    expect(lab.records.at(-1)).toMatchObject({
      actor,
      action: 'ask.approve',
      outcome: 'once',
      rule: `approval:${id}`,
      decision: 'allow',
    });
    expect(liveRules(lab.context, sandbox)).toEqual([]);
  });

  test('that cannot be recorded allows nothing', async () => {
    await open();
    const held = raise('/x');
    const id = idOf('/x');
    lab.failing.add('journal:ask.approve');
    expect(await codeOf(approving({ id }))).toBe('JOURNAL_UNWRITABLE');
    expect(await codeOf(approving({ id, scope: 'sandbox' }))).toBe('JOURNAL_UNWRITABLE');
    expect(await Promise.race([held, Promise.resolve('held')])).toBe('held');
    expect(lab.store.answers(parseSandboxId(sandbox))).toEqual([]);
    lab.failing.clear();
    await approving({ id });
    expect(await held).toMatchObject({ kind: 'once' });
  });

  test('for the life of the sandbox lets go all that asked the same, gives others new ids, and is kept', async () => {
    await open();
    const held = [raise('/x'), raise('/x'), raise('/y')];
    const before = idOf('/y');
    await approving({ id: idOf('/x'), scope: 'sandbox' });
    expect(await Promise.all(held.slice(0, 2))).toEqual([{ kind: 'changed' }, { kind: 'changed' }]);
    expect(idOf('/y')).not.toBe(before);
    expect(await codeOf(approving({ id: before }))).toBe('REQUEST_GONE');
    expect(liveRules(lab.context, sandbox)).toMatchObject([{ http: [{ methods: ['GET'], path: '/x' }] }]);
  });

  test('is forgotten when the sandbox is gone', async () => {
    await open();
    void raise('/x');
    await approving({ id: idOf('/x'), scope: 'sandbox' });
    lab.store.move(parseSandboxId(sandbox), { state: 'gone', reason: 'asked' });
    expect(lab.store.answers(parseSandboxId(sandbox))).toEqual([]);
  });

  test('to what nobody waits for any more is told so', async () => {
    await open();
    const gone = new AbortController();
    const held = lab.context.asks.raise(sandbox, question('/x'), gone.signal);
    gone.abort();
    await held;
    expect(await codeOf(approving({ id: idOf('/x') }))).toBe('REQUEST_GONE');
    expect(await codeOf(approving({ id: 'ask-abcdefgh2345' }))).toBe('REQUEST_GONE');
  });

  test('of no is kept for the life of the sandbox where that is said', async () => {
    await open();
    const held = raise('/x');
    await deny(lab.context, { id: idOf('/x'), scope: 'sandbox', actor });
    expect(await held).toMatchObject({ why: 'denied-by-person' });
    expect(lab.store.answers(parseSandboxId(sandbox))).toMatchObject([{ kind: 'deny' }]);
    expect(lab.records.at(-1)).toMatchObject({ actor, action: 'ask.deny', decision: 'deny', outcome: 'sandbox' });
  });
});

test('what a person widens by hand stays within the organisation', async () => {
  await open();
  lab.context.asks.close(sandbox);
  const row = lab.store.find(sandbox);
  const plan = parsePlan(row?.plan ?? '');
  const [bound] = parsePlan(
    lab.store.find((await lab.make({ name: 'bound', policy: 'network: [{host: api.example.com, allow: ["GET /v1/**"]}]' })).id)
      ?.plan ?? '',
  ).network.rules;
  const bounded = { ...plan, network: { ...plan.network, bound: bound === undefined ? [] : [bound] } };
  const made = await lab.sandboxes.make(
    { plan: bounded, planHash: 'x', agent: undefined, trust: undefined },
    { name: 'bounded', ephemeral: false, client: undefined, actor, callerEnv: lab.context.env },
  );
  sandbox = made.id;
  lab.context.asks.open({
    id: made.id,
    name: made.name,
    settings: { waitMs: 60_000, when: 'always' },
    bound: bounded.network.bound,
    rules: () => [],
    policyHash: () => 'x',
    note: () => undefined,
  });
  const held = raise('/v1/x');
  expect(await raise('/v2')).toMatchObject({ why: 'beyond-bound' });
  expect(await codeOf(approving({ id: idOf('/v1/x'), scope: 'sandbox', functions: 'all' }))).toBe('POLICY_WIDENS');
  expect(
    await codeOf(approving({ id: idOf('/v1/x'), scope: 'sandbox', functions: [{ methods: undefined, path: '/v1/**' }] })),
  ).toBe('POLICY_WIDENS');
  expect(await Promise.race([held, Promise.resolve('held')])).toBe('held');
  await approving({ id: idOf('/v1/x'), scope: 'sandbox', functions: [{ methods: ['GET'], path: '/v1/x/**' }] });
});

test('the calls that widen are named apart, for faces that must not have them', () => {
  expect(operatorMethods).toEqual(
    expect.arrayContaining(['request-approve', 'request-deny', 'requests', 'requests-follow', 'trust']),
  );
});
