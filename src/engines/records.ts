import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { isSandboxId } from '../base/ids.ts';
import { isErrno, privateFolder, removeDrafts, removeFile, replaceFile, writeNew } from '../system/files.ts';
import { ownText } from '../system/own-files.ts';
import type { SandboxSpec } from './engine.ts';
import type { Placeholder } from './workspace/protect.ts';

/**
 * What the engine knows of its sandboxes, one file each: written before anything is made, removed after everything is gone. So
 * whatever a kill leaves behind is listed and can be removed.
 */

export interface EngineRecord {
  readonly version: 1;
  readonly spec: SandboxSpec;
  /** what the runtime knows it by, where it was made before its sandbox was asked for; else the sandbox's id */
  readonly container?: string | undefined;
  /** Made ahead, and no sandbox has asked for it: `spec` says what kind of sandbox may. */
  readonly ready?: true | undefined;
  /** range of host ids; `undefined` for an ordinary user */
  readonly slot: number | undefined;
  /** paths of the workspace that are mounts of their own */
  readonly protections: readonly string[];
  /** placeholders that may have been made in the workspace */
  readonly placeholders: readonly { readonly path: string; readonly placeholder: Placeholder }[];
}

/** The name that the runtime and the cgroup of a sandbox have. */
export function containerOf({ container, spec }: EngineRecord): string {
  return container ?? spec.id;
}

export interface Records {
  readonly read: (id: string) => Promise<EngineRecord | undefined>;
  /** Throws `SANDBOX_NOT_FOUND`. */
  readonly get: (id: string) => Promise<EngineRecord>;
  /** Throws `SANDBOX_WRONG_STATE` when the id is taken, also by another process at the same time. */
  readonly add: (record: EngineRecord) => Promise<void>;
  readonly replace: (record: EngineRecord) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
  readonly all: () => Promise<readonly EngineRecord[]>;
  /** Removes what writers that were killed left beside the records. */
  readonly tidy: () => Promise<void>;
}

export function engineRecords(folder: string): Records {
  const fileOf = (id: string): string => join(folder, `${id}.json`);
  const read = async (id: string): Promise<EngineRecord | undefined> => {
    const text = ownText(fileOf(id));
    // Empty: the machine lost power before the text reached the disk, and with it every container.
    return text === undefined || text === '' ? undefined : parseRecord(text, fileOf(id));
  };
  return {
    read,
    async get(id) {
      const record = await read(id);
      if (record === undefined) {
        throw new CasemateError('SANDBOX_NOT_FOUND', `the engine has no sandbox ${id}`);
      }
      return record;
    },
    async add(record) {
      await privateFolder(folder);
      const { id } = record.spec;
      try {
        // It need not outlive a power cut: the sandbox does not either.
        await writeNew(fileOf(id), JSON.stringify(record));
      } catch (error) {
        throw isErrno(error, 'EEXIST')
          ? new CasemateError('SANDBOX_WRONG_STATE', `the engine has a sandbox ${id} already`)
          : error;
      }
    },
    replace: (record) => replaceFile(fileOf(record.spec.id), JSON.stringify(record)),
    remove: (id) => removeFile(fileOf(id)),
    async all() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const ids = (await readdir(folder)).map((name) => name.replace(/\.json$/, '')).filter(isSandboxId);
      const records = await Promise.all(ids.map(read));
      return records.filter((record) => record !== undefined);
    },
    tidy: () => removeDrafts(folder),
  };
}

function parseRecord(text: string, path: string): EngineRecord {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) {
      return value;
    }
  } catch (error) {
    throw new CasemateError('STORE_FAILED', `${path} is not valid`, { cause: error });
  }
  throw new CasemateError('STORE_FAILED', `${path} is of another version`);
}

/** The folder is private and the file was written whole: its version says its form. */
function isRecord(value: unknown): value is EngineRecord {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1 && 'spec' in value;
}
