import { CasemateError } from '../../../base/errors.ts';
import type { Instruction } from '../../containers.ts';
import { tarEnd, tarHeader, tarPadding } from '../../../base/tar.ts';

/** What the engine's builder is given: only lines of ours, none of which runs or fetches anything, in a tar archive. */

export interface AssemblyFacts {
  readonly labels: Readonly<Record<string, string>>;
  /** `uid:gid` */
  readonly user: string;
}

/** Pure. The labels come first: so also what is left of an assembly that failed is known by them. */
export function assemblyText(
  from: string | undefined,
  instructions: readonly Instruction[],
  { labels, user }: AssemblyFacts,
): string {
  const sources = [...new Set(instructions.flatMap((row) => (row.kind === 'copy' && row.from !== undefined ? [row.from] : [])))];
  const lines = [
    ...sources.map((id, index) => `FROM ${id} AS s${index}`),
    `FROM ${from ?? 'scratch'}`,
    `LABEL ${Object.entries(labels)
      .map(([name, value]) => `${quoted(name)}=${quoted(value)}`)
      .join(' ')}`,
    ...instructions.map((row) => lineOf(row, { user, stageOf: (id) => `s${sources.indexOf(id)}` })),
  ];
  const broken = lines.find((line) => /[\r\n\0]/.test(line));
  if (broken !== undefined) {
    throw new CasemateError('UNSUPPORTED', 'a value with a line feed cannot be put into an image');
  }
  return `${lines.join('\n')}\n`;
}

function lineOf(
  row: Instruction,
  { user, stageOf }: { readonly user: string; readonly stageOf: (id: string) => string },
): string {
  switch (row.kind) {
    case 'copy': {
      const from = row.from === undefined ? '' : ` --from=${stageOf(row.from)}`;
      const sources = row.from === undefined ? row.sources.map((source) => `c/${source}`) : row.sources;
      return `COPY${from} --chown=${user} ${jsonWords([...sources, row.target])}`;
    }
    case 'folder':
      return `COPY --chown=${user} ${jsonWords(['e/', `${row.path.replace(/\/$/, '')}/`])}`;
    case 'env':
      return `ENV ${row.name}=${quoted(row.value)}`;
    case 'label':
      return `LABEL ${quoted(row.name)}=${quoted(row.value)}`;
    case 'list':
      return `${row.word} ${JSON.stringify(row.values)}`;
    case 'word':
      return `${row.word} ${quoted(row.value)}`;
  }
}

/** Where the builder would replace variables, after it has read the JSON. */
function jsonWords(words: readonly string[]): string {
  return JSON.stringify(words.map((word) => word.replaceAll('\\', '\\\\').replaceAll('$', '\\$')));
}

function quoted(text: string): string {
  return `"${text.replaceAll(/[\\"$]/g, (letter) => `\\${letter}`)}"`;
}

/** The lines, an empty folder, and what is copied. */
export async function* assemblyTar(text: string, entries: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  yield tarHeader({ name: 'Dockerfile', kind: 'file', mode: 0o644, size: bytes.length });
  yield Buffer.concat([bytes, tarPadding(bytes.length)]);
  yield tarHeader({ name: 'e/', kind: 'folder', mode: 0o755, size: 0 });
  yield tarHeader({ name: 'c/', kind: 'folder', mode: 0o755, size: 0 });
  yield* entries;
  yield tarEnd;
}
