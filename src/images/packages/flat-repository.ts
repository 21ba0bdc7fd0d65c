import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { run } from '../../system/process.ts';
import { debFileName, linkOrCopy } from './debian.ts';
import { hashFile } from '../tools/hash-file.ts';
import { toolFailure, type ImageTools } from '../tools/image-tools.ts';
import type { LockedDeb } from '../stored/lock.ts';

/**
 * A package archive in one folder that holds exactly the locked packages, so that nothing outside the lock gets into an image,
 * and the build itself needs no network. Hashes are checked again here, against the lock.
 */
export interface RepositoryRequest {
  readonly debs: readonly LockedDeb[];
  /** where the packages lie by hash */
  readonly cache: string;
  readonly folder: string;
  readonly suite: string;
  readonly architecture: string;
  readonly tools: ImageTools;
}

export async function writeFlatRepository(request: RepositoryRequest): Promise<void> {
  const { debs, folder, suite, architecture } = request;
  await mkdir(folder, { recursive: true });
  const stanzas: string[] = [];
  for (let start = 0; start < debs.length; start += 2) {
    // oxlint-disable-next-line no-await-in-loop -- two at a time is all the load a build may make
    stanzas.push(...(await Promise.all(debs.slice(start, start + 2).map((deb) => addPackage(deb, request)))));
  }
  const index = stanzas.join('\n');
  const hash = createHash('sha256').update(index).digest('hex');
  await writeFile(join(folder, 'Packages'), index);
  const release = [
    `Origin: casemate`,
    `Suite: ${suite}`,
    `Codename: ${suite}`,
    'Date: Tue, 14 Nov 2023 22:13:20 UTC',
    `Architectures: ${architecture}`,
    'SHA256:',
    ` ${hash} ${Buffer.byteLength(index)} Packages`,
    '',
  ];
  await writeFile(join(folder, 'Release'), release.join('\n'));
}

async function addPackage(deb: LockedDeb, { cache, folder, tools }: RepositoryRequest): Promise<string> {
  const name = debFileName(deb);
  const kept = join(cache, `${deb.sha256}.deb`);
  if ((await hashFile(kept, 'sha256')).toString('hex') !== deb.sha256) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `the kept package ${name} is damaged`, {
      hint: `Remove ${kept} and build again.`,
    });
  }
  await linkOrCopy(kept, join(folder, name));
  const control = await run('dpkg-deb', ['--field', join(folder, name)], { env: tools.env });
  if (control.exitCode !== 0) {
    throw toolFailure('dpkg-deb', control.stderr.toString('utf8'));
  }
  return `${control.stdout.toString('utf8').trimEnd()}\nFilename: ./${name}\nSize: ${deb.size}\nSHA256: ${deb.sha256}\n`;
}
