/** Parses what proc(5) says of a process. Pure; what cannot be read is absent. */

/** Soft limits of `/proc/PID/limits` by their names there, e.g. `Max open files`. */
export function limitsOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, name, soft] = /^(Max [a-z ]+?)\s{2,}(\S+)\s/.exec(line) ?? [];
        return name === undefined || soft === undefined ? [] : [[name, soft]];
      }),
  );
}

export interface MountLine {
  readonly at: string;
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  /** of the file system as a whole, e.g. `size=64k` */
  readonly superOptions: readonly string[];
}

/** Lines of `/proc/PID/mountinfo`, in their order; the last at a place is what is seen there. */
export function mountLines(text: string): readonly MountLine[] {
  return text.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , , at, options] = left.split(' ');
    const [type = '', source = '', superOptions = ''] = right.split(' ');
    return at === undefined || options === undefined
      ? []
      : [{ at, options: options.split(','), type, source, superOptions: superOptions.split(',') }];
  });
}

export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly size: number;
}

/** Lines of `/proc/PID/uid_map` (user_namespaces(7)), as read from outside. */
export function idRanges(text: string): readonly IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [inside, outside, size] = line.trim().split(/\s+/).map(Number);
    return inside === undefined || outside === undefined || size === undefined || Number.isNaN(size)
      ? []
      : [{ inside, outside, size }];
  });
}

/** Path of the group of each controller; the unified hierarchy under the empty name (cgroups(7)). */
export function groupPaths(text: string): ReadonlyMap<string, string> {
  const rows = text.split('\n').flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return path === '' ? [] : controllers.split(',').map((name) => [name, path] as const);
  });
  return new Map(rows);
}
