import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { visible } from '../base/text.ts';
import type { Level } from '../policy/policy.ts';
import { readBeneath, type Found } from '../system/read-beneath.ts';
import type { Agent, ConfigEntry } from './agent.ts';
import { isSecretFile, secretIn } from './secret-patterns.ts';
import { filterSettings } from './settings.ts';

/**
 * The classified copy of the user's own configuration for a sandbox. It is a copy, never a mount: what the agent writes stays in
 * the sandbox. Tokens, transcripts and the secrets of servers are in no list, so no level includes them.
 */
export interface HomePlan {
  readonly files: readonly { readonly path: string; readonly content: Buffer; readonly mode: number }[];
  /** paths relative to the home, sorted */
  readonly copied: readonly string[];
  /** what was there and stays out; `path` is fit for a terminal */
  readonly leftOut: readonly { readonly path: string; readonly why: string }[];
}

export interface HomeSource {
  readonly userHome: string;
  /** home of the service account, for the level `service`; `undefined`: there is none, and nothing is copied */
  readonly serviceHome?: string | undefined;
}

const limits = { maxFiles: 500, maxFileBytes: 512 * 1024, maxBytes: 4 * 1024 * 1024, maxDepth: 8 } as const;

/** Reads and judges everything now, so that `copyHome` writes what was judged and not what is there later. */
export async function planHome(agent: Agent, level: Level, source: HomeSource): Promise<HomePlan> {
  const home = level === 'service' ? source.serviceHome : source.userHome;
  const entries = home === undefined ? [] : agent.classification[level];
  const judged: Judged[] = [];
  for (const entry of entries) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of entries
    const found = await readBeneath(home ?? '', entry.path, limits);
    judged.push(...found.map((item) => judge(item, entry)));
  }
  const files = judged.flatMap(({ file }) => (file === undefined ? [] : [file]));
  return { files, copied: files.map(({ path }) => path).toSorted(), leftOut: judged.flatMap(({ leftOut }) => leftOut) };
}

interface Judged {
  readonly file: HomePlan['files'][number] | undefined;
  readonly leftOut: HomePlan['leftOut'];
}

function judge(item: Found, entry: ConfigEntry): Judged {
  if (item.kind === 'refused') {
    return out(item.path, item.why);
  }
  const name = item.path.split('/').at(-1) ?? '';
  if (isSecretFile(name)) {
    return out(item.path, 'its name is one of a file with secrets');
  }
  if (entry.filter === 'settings') {
    return judgeSettings(item.path, item.content.toString('utf8'));
  }
  const secret = secretIn(item.content.toString('latin1'));
  if (secret !== undefined) {
    return out(item.path, `it holds what looks like ${secret}`);
  }
  return { file: { path: item.path, content: item.content, mode: item.executable ? 0o700 : 0o600 }, leftOut: [] };
}

function judgeSettings(path: string, text: string): Judged {
  const { content, leftOut } = filterSettings(text);
  return {
    file: content === undefined ? undefined : { path, content: Buffer.from(content), mode: 0o600 },
    leftOut: leftOut.map(({ key, why }) => ({ path: visible(key === '' ? path : `${path}: ${key}`), why })),
  };
}

function out(path: string, why: string): Judged {
  return { file: undefined, leftOut: [{ path: visible(path), why }] };
}

/** Writes the copy into `target`, a folder of ours in which nothing of a sandbox has run yet. */
export async function copyHome(plan: HomePlan, target: string): Promise<void> {
  for (const { path, content, mode } of plan.files) {
    const full = join(target, path);
    // oxlint-disable-next-line no-await-in-loop -- parents first, few small files
    await mkdir(dirname(full), { recursive: true, mode: 0o700 });
    // oxlint-disable-next-line no-await-in-loop -- as above
    await writeNew(full, content, mode);
  }
}

async function writeNew(path: string, content: Buffer, mode: number): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
  } finally {
    await file.close();
  }
}
