import { isJsonObject, parseJson, type JsonFields } from '../base/json.ts';
import { isSecretName, secretIn } from './secret-patterns.ts';

/**
 * Filters the user's settings of Claude Code for a sandbox: only what is listed here is copied. Settings that hold secrets,
 * start programs of the host, redirect requests or decide about permissions stay out and are named.
 */
export interface FilteredSettings {
  /** JSON; `undefined` when nothing is left, or the text is no settings */
  readonly content: string | undefined;
  readonly leftOut: readonly { readonly key: string; readonly why: string }[];
}

type LeftOut = { readonly key: string; readonly why: string };

/** Plain preferences: a word, a number or a switch. */
const preferences = new Set([
  'alwaysThinkingEnabled',
  'attribution',
  'autoCompactEnabled',
  'cleanupPeriodDays',
  'companyAnnouncements',
  'editorMode',
  'effortLevel',
  'includeCoAuthoredBy',
  'includeGitInstructions',
  'language',
  'model',
  'outputStyle',
  'prefersReducedMotion',
  'respectGitignore',
  'showThinkingSummaries',
  'showTurnDuration',
  'spinnerTipsEnabled',
  'spinnerVerbs',
  'syntaxHighlightingDisabled',
  'theme',
  'verbose',
]);

const reasons: Readonly<Record<string, string>> = {
  apiKeyHelper: 'starts a program of the host to get a key',
  awsAuthRefresh: 'starts a program of the host to get a key',
  awsCredentialExport: 'starts a program of the host to get a key',
  gcpAuthRefresh: 'starts a program of the host to get a key',
  otelHeadersHelper: 'starts a program of the host',
  proxyAuthHelper: 'starts a program of the host',
  hooks: 'programs of the host',
  statusLine: 'a program of the host',
  subagentStatusLine: 'a program of the host',
  fileSuggestion: 'a program of the host',
  mcpServers: 'programs and keys of the host',
  enabledPlugins: 'plug-ins start programs of the host',
  extraKnownMarketplaces: 'plug-ins start programs of the host',
  sandbox: 'its own inner sandbox is off: the sandbox around it is this one',
  skipDangerousModePermissionPrompt: 'the policy decides about permissions',
};

export function filterSettings(text: string): FilteredSettings {
  const settings = parseObject(text);
  if (settings === undefined) {
    return { content: undefined, leftOut: [{ key: '', why: 'not a JSON object' }] };
  }
  const kept: Record<string, unknown> = {};
  const leftOut: LeftOut[] = [];
  for (const [key, value] of Object.entries(settings)) {
    const result = filterKey(key, value);
    leftOut.push(...result.leftOut);
    if (result.value !== undefined) {
      kept[key] = result.value;
    }
  }
  const content = Object.keys(kept).length === 0 ? undefined : `${JSON.stringify(kept, undefined, 2)}\n`;
  return { content, leftOut };
}

interface Filtered {
  readonly value: unknown;
  readonly leftOut: readonly LeftOut[];
}

function filterKey(key: string, value: unknown): Filtered {
  if (key === '$schema') {
    return { value: undefined, leftOut: [] };
  }
  if (key === 'env' && isJsonObject(value)) {
    return filterEach(value, { prefix: key, why: whyNotVariable });
  }
  if (key === 'permissions' && isJsonObject(value)) {
    return filterEach(value, { prefix: key, why: whyNotPermission });
  }
  const why = preferences.has(key) ? whyNotPlain(value) : (reasons[key] ?? 'not among the settings that come along');
  return why === undefined ? { value, leftOut: [] } : { value: undefined, leftOut: [{ key, why }] };
}

function filterEach(
  values: JsonFields,
  { prefix, why }: { prefix: string; why: (name: string, value: unknown) => string | undefined },
): Filtered {
  const judged = Object.entries(values).map(([name, value]) => ({ name, value, reason: why(name, value) }));
  const kept = judged.filter(({ reason }) => reason === undefined);
  const leftOut = judged.flatMap(({ name, reason }) => (reason === undefined ? [] : [{ key: `${prefix}.${name}`, why: reason }]));
  return { value: kept.length === 0 ? undefined : Object.fromEntries(kept.map(({ name, value }) => [name, value])), leftOut };
}

/** Variables that say where requests go, whom to trust, what to load, or how the agent signs in. */
const steering =
  /proxy|base_?url|endpoint|_ca_|cert|ssl|tls|^ld_|^node_|^npm_|^python|^bash_env$|^env$|^path$|^home$|use_(?:bedrock|vertex|foundry)|^disable_|sandbox|otel|telemetry|socket/i;

function whyNotVariable(name: string, value: unknown): string | undefined {
  if (typeof value !== 'string') {
    return 'not a text';
  }
  if (isSecretName(name) || secretIn(`${name}=${value}`) !== undefined) {
    return 'looks like a secret';
  }
  return steering.test(name) ? 'would change where requests go or what is loaded' : undefined;
}

function whyNotPermission(name: string, value: unknown): string | undefined {
  if (!['allow', 'ask', 'deny'].includes(name)) {
    return name === 'defaultMode' ? 'the policy decides about permissions' : 'about folders or modes of the host';
  }
  return whyNotPlain(value);
}

/** Preferences are short texts, numbers, switches, or lists and records of these. */
function whyNotPlain(value: unknown): string | undefined {
  return secretIn(JSON.stringify(value)) === undefined ? undefined : 'looks like a secret';
}

function parseObject(text: string): JsonFields | undefined {
  const value = parseJson(text);
  return isJsonObject(value) ? value : undefined;
}
