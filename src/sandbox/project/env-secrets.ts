import type { KnownValue } from '../../gateway/secrets/known-secrets.ts';
import { findBeneath } from '../../system/find-beneath.ts';

/**
 * Secrets in a project's own env files and private keys, which must not leave. The files are read, never run, and nothing is
 * written down.
 */

const skipped = new Set([
  'node_modules',
  '.git',
  'vendor',
  'target',
  'dist',
  'build',
  '.venv',
  'venv',
  '__pycache__',
  '.cache',
  '.next',
]);
const bounds = { maxDepth: 3, maxFolders: 300, maxFiles: 64, maxFileBytes: 256 * 1024 };

/** `except`: variables whose values may leave. */
export async function envSecrets(workspace: string, except: readonly string[]): Promise<readonly KnownValue[]> {
  const files = await findBeneath(workspace, {
    ...bounds,
    wantsFile: (name) => isEnvFile(name) || isKeyFile(name),
    entersFolder: (name) => !skipped.has(name),
  });
  return files.flatMap(({ path, content }) => {
    const text = content.toString('utf8');
    const name = path.split('/').at(-1) ?? '';
    return isKeyFile(name) ? keyValues(text, path) : envValues(text, path).filter(({ variable }) => !except.includes(variable));
  });
}

/** Those that are there to be copied hold no secrets. */
function isEnvFile(name: string): boolean {
  return /^\.env(?:\.[\w.-]+)?$/.test(name) && !/\.(?:example|sample|template|dist|defaults?)$/.test(name);
}

function isKeyFile(name: string): boolean {
  return /\.(?:pem|key)$/.test(name);
}

interface EnvValue extends KnownValue {
  readonly variable: string;
}

const assignment =
  /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'|([^\r\n]*))/gm;

export function envValues(text: string, path: string): readonly EnvValue[] {
  return [...text.matchAll(assignment)].flatMap(([, variable = '', double, single, bare]) => {
    const written = double?.replaceAll('\\n', '\n').replaceAll('\\"', '"') ?? single ?? withoutComment(bare ?? '');
    const label = `${variable} in ${path}`;
    return secretParts(variable, written).map((value) => ({ value, label, variable }));
  });
}

/** What stands behind ` #` is one. By hand: a pattern would try each of many blanks anew. */
function withoutComment(text: string): string {
  for (let at = text.indexOf('#'); at !== -1; at = text.indexOf('#', at + 1)) {
    if (/\s/.test(text[at - 1] ?? '')) {
      return text.slice(0, at).trim();
    }
  }
  return text.trim();
}

const secretName =
  /secret|token|passw|pwd|private|credential|api_?key|access_?key|auth(?!or(?!iz))|signing|salt|dsn|webhook|(?:^|_)key$|(?:^|_)pass$/i;
/** Says something about a secret and is none: to hold it back would hold back half of the project. */
const plainName =
  /(?:^|_)(?:algorithm|audience|domain|email|enabled|expir(?:es|y|ation)|file|header|host(?:name)?|id|issuer|lifetime|method|mode|name|path|policy|port|prefix|provider|realm|region|rounds|scopes?|strategy|ttl|type|ur[il]|user(?:name)?|version)$/i;
/** Meant for everybody who opens the page. */
const publicName = /^(?:NEXT_PUBLIC_|VITE_|REACT_APP_|NUXT_PUBLIC_|PUBLIC_|EXPO_PUBLIC_|GATSBY_)/;

/** The part of a value that is secret; an address is none, but the password in it is. */
function secretParts(variable: string, value: string): readonly string[] {
  if (publicName.test(variable)) {
    return [];
  }
  if (value.includes('-----BEGIN ')) {
    return keyLines(value);
  }
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url !== undefined && url.host !== '') {
    const inside = url.password === '' ? [] : [url.password, decoded(url.password)];
    return /webhook|dsn|secret/i.test(variable) ? [...inside, value] : [...new Set(inside)];
  }
  return (secretName.test(variable) && !plainName.test(variable)) || isRandom(value) ? [value] : [];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** One word of letters and digits mixed, as keys are and names are not. */
function isRandom(value: string): boolean {
  return (
    /^[A-Za-z0-9+/_.=-]{24,512}$/.test(value) &&
    /[0-9]/.test(value) &&
    /[A-Za-z]/.test(value) &&
    !/^[\w-]+(?:\.[a-z-]+)+$/i.test(value)
  );
}

function keyValues(text: string, path: string): readonly KnownValue[] {
  return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? keyLines(text).map((value) => ({ value, label: path })) : [];
}

/** Whole lines of the body of a private key: whoever has some of them next to each other has the key. */
function keyLines(text: string): readonly string[] {
  const lines = text.split(/\r?\n/).filter((line) => /^[A-Za-z0-9+/=]{40,76}$/.test(line.trim()));
  // The first one says the kind of key and is the same in many.
  return lines.slice(1, 5).map((line) => line.trim());
}
