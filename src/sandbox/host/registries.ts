import { parseJson } from '../../base/json.ts';
import { canonicalHost } from '../../base/host.ts';
import type { RegistryFacts } from '../../policy/facts.ts';

/** Reads package sources from the settings of npm, apt and pip. Pure: text in, addresses out; no address is built in. */

export interface FoundRegistry extends RegistryFacts {
  /** `scheme://host` or `scheme://host:port` */
  readonly origin: string;
}

/** An address as facts; `undefined` for what has no host name (an address, a file) and for other schemes. */
function registryOf(url: string): FoundRegistry | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const host = parsed === undefined ? undefined : canonicalHost(parsed.hostname);
  if (parsed === undefined || host === undefined || !/^https?:$/.test(parsed.protocol) || host === 'localhost') {
    return undefined;
  }
  const port = parsed.port === '' ? (parsed.protocol === 'https:' ? 443 : 80) : Number(parsed.port);
  return { host, port, origin: parsed.origin, upstream: undefined };
}

/** Every address once, in the order found. */
export function registriesOf(urls: readonly string[]): readonly FoundRegistry[] {
  const found = urls.flatMap((url) => registryOf(url) ?? []);
  return [...new Map(found.map((registry) => [`${registry.host}:${registry.port}`, registry])).values()];
}

/** The default registry and those of scopes, from `npm config list --json`. */
export function npmUrls(json: string): readonly string[] {
  const settings: unknown = parseJson(json);
  if (typeof settings !== 'object' || settings === null) {
    return [];
  }
  return Object.entries(settings).flatMap(([key, value]) =>
    /^(?:@[^:]+:)?registry$/.test(key) && typeof value === 'string' ? [value] : [],
  );
}

/** `index-url` and `extra-index-url` of any section, from `pip config list`. */
export function pipUrls(listing: string): readonly string[] {
  return listing.split('\n').flatMap((line) => {
    const match = /^[^=\s]*\.(?:extra-)?index-url=(['"])(.*)\1$/.exec(line.trim());
    // pip shows the value as a Python literal, in which several addresses are parted by \n.
    return (
      match?.[2]
        ?.replaceAll('\\n', ' ')
        .split(/\s+/)
        .filter((url) => url !== '') ?? []
    );
  });
}

/** The one-line form of sources.list(5): `deb [option=value ...] URI suite component...`. */
export function aptLineUrls(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const match = /^deb\s+(?:\[[^\]]*\]\s*)?(\S+)/.exec(line.trim());
    return match?.[1] ?? [];
  });
}

/** The deb822 form of sources.list(5): stanzas with `Types`, `URIs`, `Enabled`. */
export function aptStanzaUrls(text: string): readonly string[] {
  return withoutComments(text)
    .split(/\n[ \t]*\n/)
    .flatMap((stanza) => {
      const fields = fieldsOf(stanza);
      const isOff = /^(?:no|false|without|off|disable|0)$/i.test(fields.get('enabled') ?? 'yes');
      const isBinary = (fields.get('types') ?? '').split(/\s+/).includes('deb');
      return isOff || !isBinary ? [] : (fields.get('uris') ?? '').split(/\s+/).filter((uri) => uri !== '');
    });
}

function withoutComments(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');
}

function fieldsOf(stanza: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let current: string | undefined;
  for (const line of stanza.split('\n')) {
    const match = /^([A-Za-z][A-Za-z0-9-]*):(.*)$/.exec(line);
    if (match?.[1] !== undefined) {
      current = match[1].toLowerCase();
      fields.set(current, (match[2] ?? '').trim());
    } else if (current !== undefined && /^[ \t]/.test(line)) {
      fields.set(current, `${fields.get(current) ?? ''} ${line.trim()}`);
    }
  }
  return fields;
}
