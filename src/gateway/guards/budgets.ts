import { budgetKinds, type Budget, type BudgetKind, type ModelPrice } from '../../policy/guards.ts';
import { accountKey, amountsBy, noAmounts, plus, windowLeftMs, type Account, type Amounts, type Ledger } from './ledger.ts';

/**
 * Budgets of one sandbox. The most that a request may use is reserved before it goes out and corrected when it is over. Parallel
 * requests share what is left; only the last one let through may overrun, and only by itself.
 */
export interface Budgets {
  /** Takes one request and its bytes; `Overrun`: nothing was taken. */
  readonly take: (request: Asking) => Held | Overrun;
  /** Whether some are about what a model uses with this credential. */
  readonly countUse: (credential: string | undefined) => boolean;
  readonly state: () => readonly BudgetState[];
}

export interface Asking {
  /** name of the credential it goes with */
  readonly credential: string | undefined;
  /** of the content, where the head says so */
  readonly bytes: number;
  readonly usesModel: boolean;
}

/** What one request took. */
export interface Held {
  /** Takes what a model may use for it, before the model can start. */
  readonly reserve: (amounts: Partial<Amounts>) => Overrun | undefined;
  /** Takes what was used while it is under way; the overrun that stands then. */
  readonly spend: (amounts: Partial<Amounts>) => Overrun | undefined;
  /** `bytes` have gone out in all: the overrun, where they are more than was taken and more than is left. */
  readonly sent: (bytes: number) => Overrun | undefined;
  /** It is over: what it really used takes the place of what was taken. */
  readonly settle: (used: Partial<Amounts>) => void;
  /** no budget is about it */
  readonly isUnbounded?: true | undefined;
}

export interface Overrun {
  readonly budget: Budget;
  readonly kind: BudgetKind;
  readonly used: number;
  readonly limit: number;
  /** until there is room again; `undefined`: never */
  readonly retryMs: number | undefined;
  /** requests under way hold the rest: some of it may come back */
  readonly isPassing: boolean;
}

export interface BudgetState {
  readonly credential: string | undefined;
  readonly per: Budget['per'];
  readonly over: Budget['over'];
  readonly kind: BudgetKind;
  readonly used: number;
  readonly limit: number;
}

export interface BudgetOptions {
  readonly sandboxId: string;
  readonly budgets: readonly Budget[];
  readonly prices: readonly ModelPrice[];
  readonly ledger: Ledger;
  /** What requests under way have reserved, by account; shared by all sandboxes of the gateway. */
  readonly reserved: Map<string, Amounts>;
  readonly nowMs: () => number;
}

const unbounded: Held = {
  reserve: () => undefined,
  spend: () => undefined,
  sent: () => undefined,
  settle: () => undefined,
  isUnbounded: true,
};

const modelKinds: ReadonlySet<BudgetKind> = new Set(['inputTokens', 'outputTokens', 'tokens', 'spendMicros']);
/** A client asks again after this long where others hold the rest. */
const passingMs = 5000;

export function createBudgets(options: BudgetOptions): Budgets {
  const { budgets, nowMs } = options;
  const about = (name: string | undefined): readonly Budget[] =>
    budgets.filter(({ credential }) => credential === undefined || credential === name);
  return {
    countUse: (name) => about(name).some((budget) => limitsOf(budget).some(([kind]) => modelKinds.has(kind))),
    take(asking) {
      const mine = about(asking.credential);
      if (mine.length === 0) {
        return unbounded;
      }
      const atMs = nowMs();
      const overrun = firstOverrun(mine, { options, atMs, want: { requests: 1, bytesOut: asking.bytes }, asking });
      return overrun ?? hold(mine, { options, atMs, asking });
    },
    state: () => budgetStates(budgets, options),
  };
}

/** How much of each budget is used now. */
export function budgetStates(
  budgets: readonly Budget[],
  { sandboxId, ledger, nowMs }: Pick<BudgetOptions, 'sandboxId' | 'ledger' | 'nowMs'>,
): readonly BudgetState[] {
  return budgets.flatMap((budget) => {
    const { credential, per, over } = budget;
    const used = ledger.used(accountOf(budget, { sandboxId }), nowMs());
    return limitsOf(budget).map(([kind, limit]) => ({ credential, per, over, kind, used: used[kind], limit }));
  });
}

interface Moment {
  readonly options: BudgetOptions;
  readonly atMs: number;
  readonly asking: Asking;
}

function hold(mine: readonly Budget[], moment: Moment): Held {
  const { options, atMs, asking } = moment;
  const accounts = [
    ...new Map(mine.map((budget) => [accountKey(accountOf(budget, options)), accountOf(budget, options)])).values(),
  ];
  let taken: Amounts = noAmounts;
  let held: Amounts = noAmounts;
  let isOver = false;
  const add = (amounts: Partial<Amounts>): void => {
    taken = plus(taken, amounts);
    accounts.forEach((account) => options.ledger.add(account, amounts, atMs));
  };
  const holdBack = (amounts: Amounts, sign: 1 | -1): void => setAside(accounts, options.reserved, times(amounts, sign));
  add({ requests: 1, bytesOut: asking.bytes });
  return {
    reserve(amounts) {
      const overrun = isOver ? undefined : firstOverrun(mine, { ...moment, want: amounts });
      if (overrun === undefined && !isOver) {
        held = plus(held, amounts);
        holdBack(plus(noAmounts, amounts), 1);
        add(amounts);
      }
      return overrun;
    },
    spend(amounts) {
      if (isOver) {
        return undefined;
      }
      add(amounts);
      return firstOverrun(mine, { ...moment, want: {} });
    },
    sent(bytes) {
      const more = bytes - taken.bytesOut;
      if (more <= 0 || isOver) {
        return undefined;
      }
      const overrun = firstOverrun(mine, { ...moment, want: { bytesOut: more } });
      add({ bytesOut: more });
      return overrun;
    },
    settle(used) {
      if (isOver) {
        return;
      }
      isOver = true;
      holdBack(held, -1);
      const rest = Object.fromEntries(
        budgetKinds.map((kind) => [kind, (used[kind] ?? (modelKinds.has(kind) ? 0 : taken[kind])) - taken[kind]]),
      );
      accounts.forEach((account) => options.ledger.add(account, rest, atMs));
    },
  };
}

function setAside(accounts: readonly Account[], reserved: Map<string, Amounts>, amounts: Amounts): void {
  for (const account of accounts) {
    const key = accountKey(account);
    const next = plus(reserved.get(key) ?? noAmounts, amounts);
    if (budgetKinds.every((kind) => next[kind] === 0)) {
      reserved.delete(key);
    } else {
      reserved.set(key, next);
    }
  }
}

function firstOverrun(
  mine: readonly Budget[],
  { options, atMs, asking, want }: Moment & { readonly want: Partial<Amounts> },
): Overrun | undefined {
  for (const budget of mine) {
    const account = accountOf(budget, options);
    const used = options.ledger.used(account, atMs);
    const reserved = options.reserved.get(accountKey(account)) ?? noAmounts;
    for (const [kind, limit] of limitsOf(budget)) {
      const fault = judge(kind, { limit, used: used[kind], reserved: reserved[kind], want: want[kind] ?? 0, asking });
      if (fault !== undefined) {
        const retryMs = fault === 'passing' ? passingMs : windowLeftMs(budget.per, atMs);
        return { budget, kind, used: used[kind], limit, retryMs, isPassing: fault === 'passing' };
      }
    }
  }
  return undefined;
}

interface Judged {
  readonly limit: number;
  readonly used: number;
  readonly reserved: number;
  readonly want: number;
  readonly asking: Asking;
}

function judge(kind: BudgetKind, { limit, used, reserved, want, asking }: Judged): 'spent' | 'passing' | undefined {
  if (!modelKinds.has(kind)) {
    return want > 0 && used + want > limit ? 'spent' : undefined;
  }
  if (!asking.usesModel) {
    return undefined;
  }
  if (used - reserved >= limit) {
    return 'spent';
  }
  // Alone it may overrun by what it needs itself; beside others only what is left.
  return reserved > 0 && used + want > limit ? 'passing' : undefined;
}

function limitsOf({ limits }: Budget): readonly (readonly [BudgetKind, number])[] {
  return budgetKinds.flatMap((kind) => {
    const limit = limits[kind];
    return limit === undefined ? [] : [[kind, limit] as const];
  });
}

function accountOf({ credential, per, over }: Budget, { sandboxId }: Pick<BudgetOptions, 'sandboxId'>): Account {
  return { sandboxId: over === 'sandbox' ? sandboxId : undefined, credential, per };
}

function times(amounts: Amounts, factor: 1 | -1): Amounts {
  return amountsBy((kind) => amounts[kind] * factor);
}
