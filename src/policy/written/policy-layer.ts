import { CasemateError, type CasemateErrorOptions, type ErrorCode } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Origin } from '../origin.ts';
import type { WrittenPolicy } from './schema.ts';

/** One file, or the command line, as a policy layer: what is written, and where each value stands. */
export interface PolicyLayer {
  readonly kind: 'organisation' | 'user' | 'project' | 'command line';
  /** absolute path of the file; for the command line a word for it */
  readonly source: string;
  /** absolute folder that relative paths of recipes and credential files start from */
  readonly folder: string;
  /** absolute folder that a relative workspace starts from */
  readonly workspaceFolder: string;
  readonly written: WrittenPolicy;
  /** by path with slashes, e.g. `network/0/host` */
  readonly positions: ReadonlyMap<string, Position>;
}

export interface Position {
  /** starts at 1 */
  readonly line: number;
  readonly column: number;
}

export type ValuePath = readonly (string | number)[];

/** Where a value stands; for one that is not written, where the nearest part around it does. */
export function originOf(layer: PolicyLayer, path: ValuePath): Origin {
  const { kind, source } = layer;
  if (kind === 'command line') {
    return { layer: kind, source: optionNames[path.join('.')] ?? optionNames[String(path[0])] ?? source };
  }
  return { layer: kind, source, ...positionOf(layer.positions, path) };
}

/** Options of the command line by the path of the value they set. */
const optionNames: Readonly<Record<string, string>> = {
  'agent.name': '--agent',
  'agent.permissions': '--skip-permissions',
  image: '--image',
  engine: '--engine',
  runtime: '--runtime',
  'workspace.path': '--workspace',
  'workspace.mode': '--readonly',
  waive: '--waive',
  'limits.time': '--timeout',
};

export function positionOf(positions: ReadonlyMap<string, Position>, path: ValuePath): Position {
  for (let length = path.length; length >= 0; length -= 1) {
    const position = positions.get(path.slice(0, length).join('/'));
    if (position !== undefined) {
      return position;
    }
  }
  return { line: 1, column: 1 };
}

/** `path:line:column`, or a word for what has no line; safe to print. */
export function formatOrigin({ layer, source, line, column }: Origin): string {
  if (line !== undefined) {
    return `${visible(source)}:${line}:${column ?? 1}`;
  }
  return layer === 'preset' ? `preset ${visible(source)}` : visible(source);
}

/** An error about one place: `path:line:column: what`. */
export function faultAt(code: ErrorCode, origin: Origin, what: string, options: CasemateErrorOptions = {}): CasemateError {
  return new CasemateError(code, `${formatOrigin(origin)}: ${what}`, options);
}
