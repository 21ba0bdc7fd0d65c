/** Which interface of a model a request speaks, by its path: whoever serves it, tokens are counted there. */
export type ModelApi = 'anthropic' | 'openai' | 'bedrock' | 'gemini';

const paths: readonly (readonly [ModelApi, RegExp])[] = [
  ['anthropic', /\/v1\/messages$/],
  ['anthropic', /\/(?:raw|stream)Predict$/i],
  ['anthropic', /:(?:raw|streamRaw)Predict$/],
  ['openai', /\/(?:chat\/completions|completions|responses)$/],
  ['bedrock', /\/model\/[^/]+\/(?:invoke|converse)(?:-stream|-with-response-stream)?$/],
  ['gemini', /:(?:generateContent|streamGenerateContent)$/],
];

export function modelApiOf(method: string, path: string): ModelApi | undefined {
  return method === 'POST' || method === 'GET' ? paths.find(([, form]) => form.test(path))?.[0] : undefined;
}

/** The model that a path names, where it does. */
export function modelInPath(path: string): string | undefined {
  const named = /\/(?:model|models)\/([^/:]+(?::\d+)?)[/:][^/]+$/.exec(path)?.[1];
  try {
    return named === undefined ? undefined : decodeURIComponent(named).slice(0, 256);
  } catch {
    return undefined;
  }
}

/** Members at the top of a request that say what it may cost. */
export const requestMembers = [
  'model',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'inferenceConfig',
  'generationConfig',
] as const;

/** The most tokens the model may write, where the request says so. */
export function greatestOutput(members: ReadonlyMap<string, unknown>): number | undefined {
  const inner = (name: string, key: string): unknown => {
    const value = members.get(name);
    return typeof value === 'object' && value !== null ? Object.entries(value).find(([one]) => one === key)?.[1] : undefined;
  };
  return [
    members.get('max_tokens'),
    members.get('max_completion_tokens'),
    members.get('max_output_tokens'),
    inner('inferenceConfig', 'maxTokens'),
    inner('generationConfig', 'maxOutputTokens'),
  ].find(isAmount);
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
