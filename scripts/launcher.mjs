/** The file that `casemate` is: a start in sh and, behind it, the short way in perl (`perl -x` begins at its first line). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './setup/places.mjs';

const parts = ['begin', 'json', 'daemon', 'carry', 'main'];

export function launcherText(source = join(root, 'src')) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const perl = parts.map((name) => readFileSync(join(source, `cli/short-way/${name}.pl`), 'utf8')).join('\n');
  const start = readFileSync(join(root, 'scripts/launcher.sh'), 'utf8');
  return `${start}\n#!/usr/bin/perl\n${perl.replace('@VERSION@', version)}`;
}
