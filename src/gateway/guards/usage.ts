import { asObject, type JsonFields } from '../../base/json.ts';

/** The token counts that models report, in one form. Every API counts in its own way; the table is here. */
export interface Usage {
  readonly model: string | undefined;
  /** sent and neither read from nor written to a cache */
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
}

/**
 * From one object of an answer that has its count inside: Anthropic Messages (`usage`, also in `message`), OpenAI Chat and
 * Responses (`usage`, also in `response`), Bedrock (`usage`, `amazon-bedrock-invocationMetrics`), Gemini (`usageMetadata`).
 * Fields that are absent stay `undefined`; a later object of the same answer adds to what an earlier one said.
 */
export function readUsage(value: unknown): Partial<Usage> | undefined {
  const top = asObject(value);
  const inner = asObject(top['message']);
  const holder = [top, asObject(top['message']), asObject(top['response'])].find(
    (one) => 'usage' in one || 'usageMetadata' in one || bedrockMetrics in one,
  );
  const model = [top, inner, asObject(top['response'])].map((one) => one['model'] ?? one['modelVersion']).find(isText);
  const count = holder === undefined ? undefined : counted(holder);
  return count === undefined && model === undefined ? undefined : { ...count, ...(model === undefined ? {} : { model }) };
}

/** Both together; the model of the later one, where it names one. */
export function addUsage(
  before: Usage | undefined,
  { model, input = 0, cacheRead = 0, cacheWrite = 0, output = 0 }: Partial<Usage>,
): Usage {
  const start = before ?? { model, input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };
  return {
    model: model ?? start.model,
    input: start.input + input,
    cacheRead: start.cacheRead + cacheRead,
    cacheWrite: start.cacheWrite + cacheWrite,
    output: start.output + output,
  };
}

const bedrockMetrics = 'amazon-bedrock-invocationMetrics';

function counted(holder: JsonFields): Partial<Usage> | undefined {
  if (bedrockMetrics in holder) {
    return fromBedrock(asObject(holder[bedrockMetrics]));
  }
  if ('usageMetadata' in holder) {
    return fromGemini(asObject(holder['usageMetadata']));
  }
  const usage = asObject(holder['usage']);
  return 'inputTokens' in usage ? fromConverse(usage) : 'prompt_tokens' in usage ? fromChat(usage) : fromSnakeCase(usage);
}

/** Anthropic, and OpenAI Responses: the same names, but OpenAI counts what the cache held among the input. */
function fromSnakeCase(usage: JsonFields): Partial<Usage> {
  const details = asObject(usage['input_tokens_details']);
  const cached = amount(details['cached_tokens']);
  const input = amount(usage['input_tokens']);
  return known({
    input: input === undefined ? undefined : input - (cached ?? 0),
    cacheRead: amount(usage['cache_read_input_tokens']) ?? cached,
    cacheWrite: amount(usage['cache_creation_input_tokens']),
    output: amount(usage['output_tokens']),
  });
}

function fromChat(usage: JsonFields): Partial<Usage> {
  const cached = amount(asObject(usage['prompt_tokens_details'])['cached_tokens']) ?? 0;
  const prompt = amount(usage['prompt_tokens']);
  return known({
    input: prompt === undefined ? undefined : prompt - cached,
    cacheRead: cached,
    cacheWrite: undefined,
    output: amount(usage['completion_tokens']),
  });
}

/** Bedrock Converse. */
function fromConverse(usage: JsonFields): Partial<Usage> {
  return known({
    input: amount(usage['inputTokens']),
    cacheRead: amount(usage['cacheReadInputTokens']),
    cacheWrite: amount(usage['cacheWriteInputTokens']),
    output: amount(usage['outputTokens']),
  });
}

function fromBedrock(metrics: JsonFields): Partial<Usage> {
  return known({
    input: amount(metrics['inputTokenCount']),
    cacheRead: amount(metrics['cacheReadInputTokenCount']),
    cacheWrite: amount(metrics['cacheWriteInputTokenCount']),
    output: amount(metrics['outputTokenCount']),
  });
}

function fromGemini(usage: JsonFields): Partial<Usage> {
  const cached = amount(usage['cachedContentTokenCount']) ?? 0;
  const prompt = amount(usage['promptTokenCount']);
  const written = amount(usage['candidatesTokenCount']);
  return known({
    input: prompt === undefined ? undefined : prompt - cached,
    cacheRead: cached,
    cacheWrite: undefined,
    output: written === undefined ? undefined : written + (amount(usage['thoughtsTokenCount']) ?? 0),
  });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 256;
}

/** More than any model takes is no count. */
function amount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= 1e9 ? value : undefined;
}

function known(counts: Readonly<Record<keyof Omit<Usage, 'model'>, number | undefined>>): Partial<Usage> {
  const entries = Object.entries(counts).flatMap(([name, count]) => (count === undefined ? [] : [[name, Math.max(0, count)]]));
  return Object.fromEntries(entries);
}
