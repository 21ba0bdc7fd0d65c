import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { LayerName } from '../../base/layers.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { run } from '../../system/process.ts';

/**
 * Stand-ins for the programs by which the product asks this host for its layers; they deny that one of the layers exists. They
 * come first in the `PATH` that this gives; nothing of the host changes.
 */
export interface HiddenLayers {
  /** with the stand-ins in front */
  readonly path: string;
  /** `undefined`: all are there */
  readonly hide: (layer: LayerName | undefined) => Promise<void>;
}

/** By what the product says to `stage.pl` when it tries a layer. The other layers are asked for without a program. */
const askedBy: Readonly<Partial<Record<LayerName, { readonly root?: string; readonly user?: string }>>> = {
  'user-namespace': { root: '^map$', user: '^build$' },
  'idmapped-mounts': { root: '^tree' },
  seccomp: { root: '^filter$', user: '^filter$' },
  'disk-limit': { root: '^disk' },
};

/** Layers that can be hidden from who runs this, and that the plan needs. */
export function hideable({ waive, runtime }: Plan, uid: number): readonly LayerName[] {
  const stages = Object.entries(askedBy).flatMap(([name, by]) =>
    (uid === 0 ? by.root : by.user) === undefined ? [] : [asLayer(name)],
  );
  const all: readonly LayerName[] =
    runtime === 'runsc' ? stages.filter((name) => name !== 'seccomp') : [...stages, 'runtime-floor'];
  return all.filter((name) => !waive.includes(name));
}

/** Those that are cgroups, which no program is asked for. */
const byGroups: readonly LayerName[] = ['memory-limit', 'cpu-limit', 'pids-limit'];

/** What hides all of them, from what it starts alone: an empty folder in their place, in a mount namespace of its own. */
export const withoutGroups = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', 'sh'] as const;

/** Those of them that are hidden by it; nobody but root can. */
export function hideableGroups({ waive }: Plan, uid: number): readonly LayerName[] {
  return uid === 0 ? byGroups.filter((name) => !waive.includes(name)) : [];
}

function asLayer(name: string): LayerName {
  // oxlint-disable-next-line no-unsafe-type-assertion -- a key of the table above
  return name as LayerName;
}

export interface HideOptions {
  /** private; programs in it can be run */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly runtime: string;
  readonly uid: number;
}

export async function hiddenLayers({ folder, env, runtime, uid }: HideOptions): Promise<HiddenLayers> {
  const place = join(folder, 'stand-ins');
  const word = join(place, 'hidden');
  await mkdir(place, { mode: 0o700 });
  await writeFile(word, '');
  const [perl, container] = await Promise.all([programAt('perl', env), programAt(runtime, env)]);
  await writeFile(join(place, 'perl'), stageProgram(perl, word), { mode: 0o700 });
  return {
    path: `${place}:${env['PATH'] ?? ''}`,
    async hide(layer) {
      const by = layer === undefined ? undefined : askedBy[layer];
      // Only then: what the host knows of a runtime goes by where its program lies.
      await rm(join(place, runtime), { force: true });
      if (layer === 'runtime-floor') {
        await writeFile(join(place, runtime), runtimeProgram(container, word), { mode: 0o700 });
      }
      await writeFile(word, layer === undefined ? '' : ((uid === 0 ? by?.root : by?.user) ?? layer));
    },
  };
}

async function programAt(name: string, env: HideOptions['env']): Promise<string> {
  const { stdout } = await run('sh', ['-c', 'command -v "$1"', 'sh', name], { env: { ...env }, timeoutMs: 5000 });
  return stdout.toString('utf8').trim();
}

/**
 * Reads what is asked of `stage.pl` and fails where it is the layer that is hidden. A stage that waits for its orders is left
 * alone: what was read is handed on, by a child that copies the rest.
 */
function stageProgram(real: string, word: string): string {
  return [
    `#!${real}`,
    'use strict;',
    `my @real = ('${real}', @ARGV);`,
    'exec @real unless @ARGV && $ARGV[0] =~ m{/stage\\.pl$};',
    `open(my $file, '<', '${word}') or exit 97;`,
    "my $hidden = <$file> // '';",
    "exec @real if $hidden eq '';",
    "my ($asked, $ended, $ready) = ('', 0, '');",
    'vec($ready, 0, 1) = 1;',
    'while (!$ended && select(my $now = $ready, undef, undef, 0.5)) {',
    '  $ended = 1 unless sysread(STDIN, $asked, 65536, length $asked);',
    '}',
    'if ($ended && $asked =~ /$hidden/m) { print STDERR "hidden by the proof\\n"; exit 97 }',
    'pipe(my $from, my $to) or exit 97;',
    'if (fork() == 0) {',
    '  close $from;',
    '  do { syswrite $to, $asked } while sysread(STDIN, $asked, 65536);',
    '  exit 0;',
    '}',
    'close $to;',
    "open(STDIN, '<&', $from) or exit 97;",
    'exec @real;',
    '',
  ].join('\n');
}

function runtimeProgram(real: string, word: string): string {
  return [
    '#!/bin/sh',
    `if [ "$1" = --version ] && [ "$(cat '${word}')" = runtime-floor ]; then echo "\${0##*/} version 1.0.0"; exit 0; fi`,
    `exec '${real}' "$@"`,
    '',
  ].join('\n');
}
