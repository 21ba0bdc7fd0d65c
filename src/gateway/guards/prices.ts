import type { ModelPrice } from '../../policy/guards.ts';
import type { Usage } from './usage.ts';

/**
 * List prices in US dollars for a million tokens, as of 2026-10-24. Sources: platform.claude.com/docs/en/about-claude/pricing;
 * developers.openai.com/api/docs/pricing. Batch, fast and regional rates are not here; where a price depends on the length
 * of the prompt it is the higher one. Writing to a cache is priced as for an hour. A policy's `prices` come first.
 */
type Row = readonly [model: string, input: number, output: number, cacheRead: number, cacheWrite: number];

const table: readonly Row[] = [
  ['claude-fable-5-1', 10, 50, 0.25, 20],
  ['claude-mythos-5-1', 10, 50, 0.25, 20],
  ['claude-fable-5', 10, 50, 1, 20],
  ['claude-mythos-5', 10, 50, 1, 20],
  ['claude-opus-5-5', 4, 20, 0.2, 8],
  ['claude-opus-5', 5, 25, 0.5, 10],
  ['claude-opus-4-8', 5, 25, 0.5, 10],
  ['claude-opus-4-7', 5, 25, 0.5, 10],
  ['claude-opus-4-6', 5, 25, 0.5, 10],
  ['claude-opus-4-5', 5, 25, 0.5, 10],
  ['claude-opus-4', 15, 75, 1.5, 30],
  ['claude-3-opus', 15, 75, 1.5, 30],
  ['claude-sonnet-5-5', 2, 10, 0.1, 4],
  ['claude-sonnet-5', 2, 10, 0.2, 4],
  ['claude-sonnet-4', 3, 15, 0.3, 6],
  ['claude-3-7-sonnet', 3, 15, 0.3, 6],
  ['claude-3-5-sonnet', 3, 15, 0.3, 6],
  ['claude-haiku-5-5', 0.5, 2.5, 0.05, 1],
  ['claude-haiku-4-5', 1, 5, 0.1, 2],
  ['claude-3-5-haiku', 0.8, 4, 0.08, 1.6],
  ['gpt-6-sol', 4, 15, 0.4, 5],
  ['gpt-6-luna', 0.2, 0.75, 0.02, 0.25],
  ['gpt-5.6-sol', 10, 45, 1, 12.5],
  ['gpt-5.6-terra', 4, 18, 0.4, 5],
  ['gpt-5.6-luna', 0.4, 1.8, 0.04, 0.5],
  ['gpt-5.5', 10, 45, 1, 12.5],
  ['gpt-5.4-mini', 0.75, 4.5, 0.075, 0.94],
  ['gpt-5.4', 5, 22.5, 0.5, 6.25],
  ['gpt-5.3-codex', 1.75, 14, 0.175, 2.19],
  ['gpt-5.2', 1.75, 14, 0.175, 2.19],
  ['gpt-5.1', 1.25, 10, 0.125, 1.57],
  ['gpt-5-mini', 0.25, 2, 0.025, 0.32],
  ['gpt-5-nano', 0.05, 0.4, 0.005, 0.07],
  ['gpt-5', 1.25, 10, 0.125, 1.57],
];

const listed: readonly ModelPrice[] = table.map(([model, input, output, cacheRead, cacheWrite]) => {
  return { model, input, output, cacheRead, cacheWrite };
});

export interface FoundPrice {
  readonly price: ModelPrice;
  /** no price is known: this is the dearest one that is */
  readonly isGuess: boolean;
}

/** The price of the longest name that the model's begins with; `own` are the policy's, which come first. */
export function priceOf(model: string | undefined, own: readonly ModelPrice[]): FoundPrice {
  const name = bareName(model ?? '');
  const found = longestMatch(model ?? '', own) ?? longestMatch(name, own) ?? longestMatch(name, listed);
  return found === undefined ? { price: dearest([...listed, ...own]), isGuess: true } : { price: found, isGuess: false };
}

/** Spend in millionths of a US dollar: a dollar for a million tokens is a millionth for one. */
export function spendOf({ input, cacheRead, cacheWrite, output }: Omit<Usage, 'model'>, price: ModelPrice): number {
  return Math.ceil(input * price.input + cacheRead * price.cacheRead + cacheWrite * price.cacheWrite + output * price.output);
}

/** Without what Bedrock and Vertex put before and behind it, such as `eu.anthropic.claude-x-v1:0` and `claude-x@20260101`. */
function bareName(model: string): string {
  return model.replace(/^.*?(?=(?:claude|gpt)-)/, '').replace(/@.*$/, '');
}

function longestMatch(name: string, prices: readonly ModelPrice[]): ModelPrice | undefined {
  return prices.filter(({ model }) => name.startsWith(model)).toSorted((a, b) => b.model.length - a.model.length)[0];
}

function dearest(prices: readonly ModelPrice[]): ModelPrice {
  const greatest = (pick: (price: ModelPrice) => number): number => Math.max(...prices.map(pick));
  return {
    model: '',
    input: greatest(({ input }) => input),
    output: greatest(({ output }) => output),
    cacheRead: greatest(({ cacheRead }) => cacheRead),
    cacheWrite: greatest(({ cacheWrite }) => cacheWrite),
  };
}
