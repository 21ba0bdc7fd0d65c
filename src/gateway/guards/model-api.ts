/** Which model API a request speaks, recognised by its path: whoever serves it, its tokens are counted. */
export type ModelApi = 'anthropic' | 'openai' | 'bedrock' | 'gemini';

const paths: readonly (readonly [ModelApi, RegExp])[] = [
  ['anthropic', /\/v1\/(?:messages|complete)$/],
  ['anthropic', /\/(?:raw|stream)predict$/],
  ['anthropic', /:(?:raw|streamraw)predict$/],
  ['openai', /\/(?:chat\/completions|completions|responses|realtime)$/],
  ['bedrock', /\/model\/.+\/(?:invoke|converse)(?:-stream|-with-response-stream)?$/],
  ['gemini', /:(?:generatecontent|streamgeneratecontent)$|\.bidigeneratecontent$/],
];

export function modelApiOf(method: string, path: string): ModelApi | undefined {
  const read = loosely(path);
  return method === 'POST' || method === 'GET' ? paths.find(([, form]) => form.test(read))?.[0] : undefined;
}

/** Work that is done later, or in parts: what it uses is in no answer to the request that begins it. */
const deferred =
  /\/(?:v1(?:\/messages)?|openai)\/batches$|\/(?:batchpredictionjobs|model-invocation-jobs?|async-invoke)$|:(?:batchgeneratecontent|predictlongrunning)$|\/threads(?:\/[^/]+)?\/runs$|\/fine_tuning\/jobs$/;

export function isDeferred(method: string, path: string): boolean {
  return method !== 'GET' && method !== 'HEAD' && deferred.test(loosely(path));
}

/** As the most lenient server would read it: to count what is none costs nothing, to miss one costs the budget. */
function loosely(path: string): string {
  return path
    .replaceAll(/%(?:25)*([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .toLowerCase()
    .replaceAll(/;[^/]*/g, '')
    .replaceAll(/(?:\/\.?)+(?=\/|$)/g, '');
}

/** Whether the answer begins before it is written: by the path, or because the request wants it so. */
export function isStreamed(path: string, members: ReadonlyMap<string, unknown>): boolean {
  return /stream/i.test(path) || members.get('stream') === true;
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
  'stream',
  'background',
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
