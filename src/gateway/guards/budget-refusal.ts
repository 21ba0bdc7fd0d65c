import { refuse, type Refusal } from '../refusal.ts';
import type { Overrun } from './budgets.ts';
import type { ModelApi } from './model-api.ts';

/** Tells that a budget is used up, in a form that makes clients of model APIs show the reason and not retry for minutes. */

const kinds: Readonly<Record<Overrun['kind'], string>> = {
  requests: 'requests',
  bytesOut: 'bytes sent',
  inputTokens: 'tokens sent',
  outputTokens: 'tokens written',
  tokens: 'tokens',
  spendMicros: 'US dollars',
};

export function budgetRefusal(overrun: Overrun, api: ModelApi | undefined): Refusal {
  const { retryMs, isPassing } = overrun;
  const seconds = retryMs === undefined ? undefined : String(Math.max(1, Math.ceil(retryMs / 1000)));
  return {
    ...refuse('budget-exceeded', sentence(overrun)),
    errorType: api === 'openai' ? 'insufficient_quota' : api === undefined ? undefined : 'rate_limit_error',
    fields: [
      ...(seconds === undefined ? [] : ([['retry-after', seconds]] as const)),
      // Official SDKs of Anthropic and OpenAI obey it; without it they wait and ask again.
      ['x-should-retry', isPassing ? 'true' : 'false'],
    ],
  };
}

function sentence({ budget, kind, used, limit, retryMs, isPassing }: Overrun): string {
  const { credential, over, per } = budget;
  const whose = over === 'all' ? 'of all sandboxes' : 'of this sandbox';
  const what = `the budget ${whose}${credential === undefined ? '' : ` with the credential ${credential}`}`;
  const amount = `${show(kind, limit)} ${kinds[kind]}${per === 'life' ? '' : ` ${per === 'hour' ? 'an hour' : 'a day'}`}`;
  if (isPassing) {
    return `${what} of ${amount} is held by requests under way`;
  }
  const again = retryMs === undefined ? '' : `; it starts anew in ${Math.max(1, Math.ceil(retryMs / 60_000))} min`;
  return `${what} of ${amount} is used up (${show(kind, used)} used)${again}`;
}

export function show(kind: Overrun['kind'], amount: number): string {
  return kind === 'spendMicros' ? (amount / 1_000_000).toFixed(2) : String(amount);
}
