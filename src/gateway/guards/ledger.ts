import type { BudgetKind, BudgetWindow } from '../../policy/guards.ts';

/** How much of each budget was used. The daemon keeps it, so that no end of a process, however it came, makes it less. */
export interface Ledger {
  /** What is used in the window that `nowMs` lies in. */
  readonly used: (account: Account, nowMs: number) => Amounts;
  /** Adds to the window that `nowMs` lies in; a negative amount gives back what was reserved. Lasting when this returns. */
  readonly add: (account: Account, amounts: Partial<Amounts>, nowMs: number) => void;
}

/** Whose use is counted together. */
export interface Account {
  /** `undefined`: all sandboxes of this installation */
  readonly sandboxId: string | undefined;
  /** `undefined`: with any credential and without */
  readonly credential: string | undefined;
  readonly per: BudgetWindow;
}

export type Amounts = Readonly<Record<BudgetKind, number>>;

const windowMs = { hour: 3_600_000, day: 86_400_000 } as const;

/** Start of the window, milliseconds since the epoch; 0 for the one that never ends. */
export function windowStart(per: BudgetWindow, nowMs: number): number {
  return per === 'life' ? 0 : Math.floor(nowMs / windowMs[per]) * windowMs[per];
}

/** How long until the window ends; `undefined`: it never does. */
export function windowLeftMs(per: BudgetWindow, nowMs: number): number | undefined {
  return per === 'life' ? undefined : windowStart(per, nowMs) + windowMs[per] - nowMs;
}

export function accountKey({ sandboxId = '*', credential = '*', per }: Account): string {
  return `${sandboxId} ${credential} ${per}`;
}

/** One amount of each kind. */
export function amountsBy(of: (kind: BudgetKind) => number): Amounts {
  return {
    requests: of('requests'),
    bytesOut: of('bytesOut'),
    inputTokens: of('inputTokens'),
    outputTokens: of('outputTokens'),
    tokens: of('tokens'),
    spendMicros: of('spendMicros'),
  };
}

export const noAmounts: Amounts = amountsBy(() => 0);

export function plus(left: Amounts, right: Partial<Amounts>): Amounts {
  return amountsBy((kind) => Math.max(0, left[kind] + (right[kind] ?? 0)));
}

/** One that lasts as long as the process: for tests, and where no budget asks for more. */
export function memoryLedger(): Ledger {
  const rows = new Map<string, Amounts>();
  const keyOf = (account: Account, nowMs: number): string => `${accountKey(account)} ${windowStart(account.per, nowMs)}`;
  const used = (account: Account, nowMs: number): Amounts => rows.get(keyOf(account, nowMs)) ?? noAmounts;
  return {
    used,
    add: (account, amounts, nowMs) => void rows.set(keyOf(account, nowMs), plus(used(account, nowMs), amounts)),
  };
}
