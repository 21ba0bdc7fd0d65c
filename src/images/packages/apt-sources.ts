/** Which of the host's apt sources an image is built from: those of its Debian release, without other vendors' suites. Pure. */

export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

export interface ChosenSources {
  /** one-line style, `sources.list(5)` */
  readonly list: string;
  /** deb822 style */
  readonly sources: string;
}

/** Empty texts where the host has no source of this release. */
export function chooseSources(files: readonly SourceFile[], suite: string): ChosenSources {
  const wanted = new Set([suite, `${suite}-updates`, `${suite}-security`, `${suite}/updates`]);
  const lines: string[] = [];
  const stanzas: string[] = [];
  for (const { name, text } of files) {
    if (name.endsWith('.sources')) {
      stanzas.push(...deb822(text).flatMap((fields) => chooseStanza(fields, wanted) ?? []));
    } else if (name.endsWith('.list')) {
      lines.push(...text.split('\n').flatMap((line) => chooseLine(line, wanted) ?? []));
    }
  }
  return { list: lines.map((line) => `${line}\n`).join(''), sources: stanzas.join('\n') };
}

export function isEmpty({ list, sources }: ChosenSources): boolean {
  return list === '' && sources === '';
}

function chooseLine(line: string, wanted: ReadonlySet<string>): string | undefined {
  const match = /^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line);
  const [, options = '', uri = '', suite = '', components = ''] = match ?? [];
  const usable = wanted.has(suite) && components.trim().split(/\s+/).includes('main') && !uri.startsWith('cdrom:');
  return usable ? `deb ${options}${uri} ${suite} main` : undefined;
}

type Stanza = ReadonlyMap<string, string>;

/** Stanzas of a deb822 file; field names in lower case, comments dropped, continuation lines kept as they are. */
function deb822(text: string): readonly Stanza[] {
  const stanzas: Map<string, string>[] = [];
  let fields = new Map<string, string>();
  let last = '';
  for (const line of [...text.split('\n').filter((each) => !each.startsWith('#')), '']) {
    const match = /^([A-Za-z][A-Za-z0-9-]*)\s*:(.*)$/.exec(line);
    if (line.trim() === '') {
      stanzas.push(...(fields.size > 0 ? [fields] : []));
      fields = new Map();
    } else if (match?.[1] !== undefined) {
      last = match[1].toLowerCase();
      fields.set(last, match[2]?.trim() ?? '');
    } else if (/^\s/.test(line)) {
      fields.set(last, `${fields.get(last) ?? ''}\n${line}`);
    }
  }
  return stanzas;
}

function chooseStanza(fields: Stanza, wanted: ReadonlySet<string>): string | undefined {
  const words = (name: string): readonly string[] => (fields.get(name) ?? '').split(/\s+/).filter((word) => word !== '');
  const suites = words('suites').filter((suite) => wanted.has(suite));
  const uris = words('uris').filter((uri) => !uri.startsWith('cdrom:'));
  const enabled = !/^(?:no|false|without|off|disable)$/i.test(fields.get('enabled') ?? 'yes');
  if (
    !enabled ||
    suites.length === 0 ||
    uris.length === 0 ||
    !words('types').includes('deb') ||
    !words('components').includes('main')
  ) {
    return undefined;
  }
  const kept = [...fields].filter(
    ([name]) => !['types', 'uris', 'suites', 'components', 'enabled', 'architectures'].includes(name),
  );
  const own = [['types', 'deb'], ['uris', uris.join(' ')], ['suites', suites.join(' ')], ['components', 'main'], ...kept];
  return `${own.map(([name, value]) => `${name}: ${value}`).join('\n')}\n`;
}
