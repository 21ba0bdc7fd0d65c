import type { Origin } from './origin.ts';

/**
 * What is measured and held back in addition to the rules: budgets, minimum ages of packages, uploads. The guards of every layer
 * hold side by side, so layers can only narrow.
 */

export interface Guards {
  readonly budgets: readonly Budget[];
  /** prices the policy states, before those of the table in the program */
  readonly prices: readonly ModelPrice[];
  readonly packages: readonly PackageRule[];
  readonly registries: readonly RegistryHost[];
  readonly uploads: readonly UploadRule[];
  readonly secrets: SecretRule;
}

export const windows = ['life', 'hour', 'day'] as const;
export type BudgetWindow = (typeof windows)[number];

export interface Budget {
  /** name of the credential whose use is counted; `undefined`: everything */
  readonly credential: string | undefined;
  readonly per: BudgetWindow;
  /** whose use is counted: of each sandbox alone, or of all sandboxes of this installation together */
  readonly over: 'sandbox' | 'all';
  readonly limits: BudgetLimits;
  readonly origin: Origin;
}

export const budgetKinds = ['requests', 'bytesOut', 'inputTokens', 'outputTokens', 'tokens', 'spendMicros'] as const;
export type BudgetKind = (typeof budgetKinds)[number];

/** Greatest amounts; spend in millionths of a US dollar. */
export type BudgetLimits = Readonly<Partial<Record<BudgetKind, number>>>;

/** US dollars for a million tokens. `model`: its name, or the beginning of it. */
export interface ModelPrice {
  readonly model: string;
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

export const ecosystems = ['npm', 'pypi'] as const;
export type Ecosystem = (typeof ecosystems)[number];

export interface PackagePattern {
  /** `undefined`: any */
  readonly ecosystem: Ecosystem | undefined;
  /** `*` stands for any run of characters */
  readonly name: string;
  /** range of versions in the way of the ecosystem; `undefined`: all */
  readonly range: string | undefined;
}

export interface PackageRule {
  readonly minAgeMs: number | undefined;
  readonly block: readonly PackagePattern[];
  /** exempt from the age this rule asks for, never from anybody's block */
  readonly allow: readonly PackagePattern[];
  readonly origin: Origin;
}

export interface RegistryHost {
  readonly ecosystem: Ecosystem;
  readonly host: string;
}

export interface UploadRule {
  /** of one request */
  readonly maxBytes: number | undefined;
  /** of the whole sandbox in one hour */
  readonly perHourBytes: number | undefined;
  readonly origin: Origin;
}

/** What happens to a known secret in a request; from loose to strict. */
export const secretModes = ['off', 'mask', 'refuse'] as const;
export type SecretMode = (typeof secretModes)[number];

export interface SecretRule {
  readonly mode: SecretMode;
  /** whether the values in the project's own env files are looked for too */
  readonly envFiles: boolean;
  /** variables of env files whose values may leave */
  readonly except: readonly string[];
}

export const noGuards: Guards = {
  budgets: [],
  prices: [],
  packages: [],
  registries: [],
  uploads: [],
  secrets: { mode: 'refuse', envFiles: true, except: [] },
};
