import type { HttpAllowance } from '../policy.ts';

/**
 * Turns the paths that were asked for into a few functions, by these steps and no others: (1) a segment that is an id (digits, a
 * UUID, long hexadecimal digits, a ULID) becomes `*`; (2) if eight or more paths differ in only one segment, that segment
 * becomes `*`; (3) if a host would still need more than 64 functions, paths of equal length become one, with `*` for each
 * segment in which they differ. `**` is never produced.
 */
export interface SeenFunction {
  readonly method: string;
  /** canonical */
  readonly path: string;
}

export interface Generalised {
  readonly functions: readonly HttpAllowance[];
  /** the steps that were taken, in words */
  readonly steps: readonly string[];
}

export const functionsInRule = 64;
const alike = 8;

const idSegment =
  /^(?:\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[0-9a-f]*\d)[0-9a-f]{12,}|[0-9A-HJKMNP-TV-Z]{26})$/i;

export function generalisePaths(seen: readonly SeenFunction[]): Generalised {
  const withIds = unite(seen.map(({ method, path }) => ({ method, path: path.split('/').map(withoutId).join('/') })));
  const first = seen.some(({ path }) => path.split('/').some(isId)) ? ['ids in paths stand as *'] : [];
  const united = uniteSegments(withIds);
  const second =
    united.length < withIds.length ? [`where ${alike} or more paths differ in one segment only, it stands as *`] : [];
  if (united.length <= functionsInRule) {
    return { functions: toAllowances(united), steps: [...first, ...second] };
  }
  const third = [`more than ${functionsInRule} functions: paths of the same length are one, with * where they differ`];
  return { functions: toAllowances(uniteLengths(united)), steps: [...first, ...second, ...third] };
}

function isId(segment: string): boolean {
  return idSegment.test(segment);
}

function withoutId(segment: string): string {
  return isId(segment) ? '*' : segment;
}

function unite(functions: readonly SeenFunction[]): readonly SeenFunction[] {
  return [...new Map(functions.map((one) => [`${one.method} ${one.path}`, one])).values()];
}

/** Step 2, from the last segment to the first, so that files of a folder come together before folders do. */
function uniteSegments(functions: readonly SeenFunction[]): readonly SeenFunction[] {
  const deepest = Math.max(0, ...functions.map(({ path }) => path.split('/').length - 1));
  let current = functions;
  for (let place = deepest; place >= 1; place -= 1) {
    current = uniteAt(current, place);
  }
  return current;
}

function uniteAt(functions: readonly SeenFunction[], place: number): readonly SeenFunction[] {
  const groups = Map.groupBy(functions, ({ method, path }) => {
    const segments = path.split('/');
    // An empty last segment is a folder, and not one name among others.
    return segments[place] === undefined || segments[place] === ''
      ? `${method} ${path}`
      : JSON.stringify([method, segments.length, segments.with(place, '')]);
  });
  return [...groups.values()].flatMap((group) => {
    const [one] = group;
    return one === undefined || group.length < alike
      ? group
      : [{ method: one.method, path: one.path.split('/').with(place, '*').join('/') }];
  });
}

function uniteLengths(functions: readonly SeenFunction[]): readonly SeenFunction[] {
  const groups = Map.groupBy(functions, ({ method, path }) => {
    const segments = path.split('/');
    return `${method} ${segments.length} ${segments.at(-1) === ''}`;
  });
  return [...groups.values()].map((group) => ({
    method: group[0]?.method ?? '',
    path: group.map(({ path }) => path).reduce(common),
  }));
}

function common(a: string, b: string): string {
  const others = b.split('/');
  return a
    .split('/')
    .map((segment, index) => (segment === others[index] ? segment : '*'))
    .join('/');
}

/** Methods of the same path in one function, sorted by path. */
function toAllowances(functions: readonly SeenFunction[]): readonly HttpAllowance[] {
  const byPath = Map.groupBy(functions, ({ path }) => path);
  return [...byPath]
    .map(([path, ones]) => ({ methods: [...new Set(ones.map(({ method }) => method))].toSorted(), path }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
