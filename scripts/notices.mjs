/** What of other people is in the bundle: their licences in full, and a bill of materials (CycloneDX 1.6). */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './setup/places.mjs';

/** The packages that the given modules come from, by name, each once. */
export function bundledPackages(moduleIds) {
  const folders = new Set(moduleIds.map(packageFolder).filter((folder) => folder !== undefined));
  return [...folders].map(describe).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** `node_modules/a/node_modules/@b/c` of a module's path; `undefined` for our own. */
export function packageFolder(moduleId) {
  return /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(moduleId.replaceAll('\\', '/'))?.[0];
}

function describe(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const licenceFile = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
  const noticeFile = join(folder, 'NOTICE');
  if (typeof manifest.license !== 'string') {
    throw new Error(`${manifest.name} states no licence`);
  }
  return {
    name: manifest.name,
    version: manifest.version,
    terms: manifest.license,
    text: licenceFile === undefined ? undefined : readFileSync(join(folder, licenceFile), 'utf8').trim(),
    notice: existsSync(noticeFile) ? readFileSync(noticeFile, 'utf8').trim() : undefined,
    integrity: lock.packages[folder.slice(root.length + 1)]?.integrity,
  };
}

export function notices(packages) {
  const opening = 'Casemate contains the packages below. Each is under its own licence.';
  const parts = packages.map(({ name, version, terms, text, notice }) =>
    [
      `${name} ${version} (${terms})`,
      text ?? 'The package carries no licence text of its own.',
      ...(notice === undefined ? [] : [notice]),
    ].join('\n\n'),
  );
  return `${[opening, ...parts].join(`\n\n${'-'.repeat(78)}\n\n`)}\n`;
}

/** No time and no serial number: the same inputs give the same file. */
export function billOfMaterials(packages) {
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', ...identity(own.name, own.version), licenses: [licence(own.license)] } },
    components: packages.map((part) => ({
      type: 'library',
      ...identity(part.name, part.version),
      licenses: [licence(part.terms)],
      ...(part.integrity === undefined ? {} : { hashes: [digest(part.integrity)] }),
    })),
  };
}

function identity(name, version) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  return { 'bom-ref': purl, name, version, purl };
}

function licence(expression) {
  return /^[A-Za-z0-9.-]+$/.test(expression) ? { license: { id: expression } } : { expression };
}

/** `sha512-<base64>` as CycloneDX writes it. */
function digest(integrity) {
  const [algorithm = '', value = ''] = integrity.split(' ')[0].split('-');
  return { alg: algorithm.replace('sha', 'SHA-'), content: Buffer.from(value, 'base64').toString('hex') };
}
