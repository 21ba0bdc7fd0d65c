import type { LfsBatch } from './git-content.ts';
import { hasPlainKeys, isObject, readStrictJson } from '../../base/strict-json.ts';

/** Reads a batch request of git-lfs. `undefined`: it is not a request that every parser reads alike. */
export function readLfsBatch(bytes: Uint8Array, repository: string): LfsBatch | undefined {
  const json = readStrictJson(bytes);
  if (!isObject(json) || !hasPlainKeys(json, ['operation', 'ref', 'objects', 'transfers', 'hash_algo'])) {
    return undefined;
  }
  const { operation, ref } = json;
  const name = isObject(ref) && hasPlainKeys(ref, ['name']) ? ref['name'] : undefined;
  const isRefClear = ref === undefined || ref === null || typeof name === 'string';
  return (operation === 'download' || operation === 'upload') && isRefClear
    ? { kind: 'lfs-batch', repository, operation, ref: typeof name === 'string' ? name : undefined }
    : undefined;
}
