import { createHash } from 'node:crypto';

import { allDebs, allNpm, allPython, lockDigest, type Lock, type LockedDeb, type LockedNpm, type LockedPython } from './lock.ts';
import { version } from '../../system/version.ts';

/** The bill of materials of an image as CycloneDX 1.6 JSON (ECMA-424). Made from the lock alone, so the same lock gives the same text. */
export function billOfMaterials(lock: Lock, imageDigest: string): Readonly<Record<string, unknown>> {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidFrom(lockDigest(lock))}`,
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'casemate', version }] },
      component: {
        'bom-ref': imageDigest,
        type: 'container',
        name: lock.recipe,
        version: imageDigest,
        hashes: [{ alg: 'SHA-256', content: imageDigest.slice('sha256:'.length) }],
      },
    },
    components: [
      ...allDebs(lock).map((deb) => debComponent(deb, lock.suite)),
      ...allNpm(lock).map(npmComponent),
      ...allPython(lock).map(pythonComponent),
    ],
  };
}

function debComponent({ name, version: debVersion, architecture, sha256 }: LockedDeb, suite: string): Record<string, unknown> {
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(debVersion)}?arch=${architecture}&distro=${suite}`;
  return { 'bom-ref': purl, type: 'library', name, version: debVersion, purl, hashes: [{ alg: 'SHA-256', content: sha256 }] };
}

function npmComponent({ name, version: npmVersion, integrity }: LockedNpm): Record<string, unknown> {
  const [scope, rest] = name.startsWith('@') ? name.split('/') : [undefined, name];
  const path = scope === undefined ? name : `${encodeURIComponent(scope)}/${rest ?? ''}`;
  const purl = `pkg:npm/${path}@${npmVersion}`;
  const content = Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex');
  return { 'bom-ref': purl, type: 'library', name, version: npmVersion, purl, hashes: [{ alg: 'SHA-512', content }] };
}

/** The name as purl wants it: one spelling of each (PEP 503). */
function pythonComponent({ name, version: own, sha256 }: LockedPython): Record<string, unknown> {
  const purl = `pkg:pypi/${name.toLowerCase().replaceAll(/[-_.]+/g, '-')}@${encodeURIComponent(own)}`;
  return { 'bom-ref': purl, type: 'library', name, version: own, purl, hashes: [{ alg: 'SHA-256', content: sha256 }] };
}

/** RFC 9562 version 8: an UUID out of a hash, so that the same content has the same number. */
function uuidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
