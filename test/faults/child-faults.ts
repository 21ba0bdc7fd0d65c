/** Programs that the product starts, made to die at one of their own system calls: strace sends the signal, the product knows nothing. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ChildFault {
  readonly program: 'perl' | 'runc' | 'mke2fs';
  /** a part of its arguments: which of its calls is meant */
  readonly call: string;
  /** the processes it starts, too; each thread is counted for itself */
  readonly follows?: boolean | undefined;
  /** names of system calls, by commas, that are counted */
  readonly systemCalls: string;
  /** absent: none, they are only counted */
  readonly at?: number | undefined;
}

const realFolders = { perl: '/usr/bin/perl', runc: '/usr/sbin/runc', mke2fs: '/usr/sbin/mke2fs' } as const;

/** Puts programs of these names into a folder that comes first in PATH; without a fault they become the real ones at once. */
export async function placePrograms(bin: string, faults: string): Promise<void> {
  for (const [name, real] of Object.entries(realFolders)) {
    const text = `#!/bin/sh
f=${faults}/child-${name}
if [ -r "$f" ]; then
  read -r call set follow inject < "$f"
  case "$*" in
    *"$call"*)
      rm -f "$f"
      echo "$*" > ${faults}/child.hit
      exec strace -D $follow -qq -o ${faults}/child.calls -e "trace=$set" $inject ${real} "$@"
      ;;
  esac
fi
exec ${real} "$@"
`;
    await writeFile(join(bin, name), text);
    await chmod(join(bin, name), 0o755);
  }
}

/** The next call of that program is the one. */
export function armChild(faults: string, { program, call, systemCalls, follows, at }: ChildFault): void {
  disarmChild(faults);
  const inject = at === undefined ? '' : `-e inject=${systemCalls}:signal=KILL:when=${at}`;
  // Without -f the option says what is the default, so that there is always one.
  const follow = follows === true ? '-f' : '-y';
  writeFileSync(join(faults, `child-${program}`), `${call} ${systemCalls} ${follow} ${inject}\n`);
}

export function disarmChild(faults: string): void {
  for (const name of [...Object.keys(realFolders).map((program) => `child-${program}`), 'child.hit', 'child.calls']) {
    rmSync(join(faults, name), { force: true });
  }
}

/** The system calls it made, in order, and whether one of its processes was killed. */
export function childCalls(faults: string): { readonly calls: readonly string[]; readonly wasKilled: boolean } {
  try {
    const lines = readFileSync(join(faults, 'child.calls'), 'latin1').trimEnd().split('\n');
    return {
      calls: lines.filter((line) => /^(\d+ +)?\w+\(/.test(line)),
      wasKilled: lines.some((line) => line.includes('killed by SIGKILL')),
    };
  } catch {
    return { calls: [], wasKilled: false };
  }
}
