import { lstat, open, realpath } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname } from 'node:path';

import { CasemateError, isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { decideAsked } from '../../policy/judging/decide.ts';
import { firstExcess } from '../../policy/layers/cover-network.ts';
import { addRules } from '../../policy/proposing/edit-policy.ts';
import type { DeniedRequest } from '../../policy/proposing/grant-rule.ts';
import type { Policy } from '../../policy/policy.ts';
import type { WrittenForm } from '../../policy/proposing/propose.ts';
import { maxBytes } from '../../policy/written/read-yaml.ts';
import { isErrno, removeDrafts, writeDurably } from '../../system/files.ts';

/** Adds rules to a policy file: first tried by reading all layers with it, then written in one step. */
export interface EditRequest {
  readonly kind: 'user' | 'project';
  /** absolute */
  readonly path: string;
  readonly rules: readonly WrittenForm[];
  /** what the rules must allow when all layers are read together */
  readonly covered: readonly DeniedRequest[];
  readonly comment: string;
  /** the policy that holds, with this text instead of what is in the file */
  readonly load: (instead?: ReadonlyMap<string, string>) => Promise<{ readonly policy: Policy }>;
}

export interface PolicyEdit {
  /** what is replaced; for a link of the user's own what it leads to */
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string;
  readonly mode: number;
}

/** Changes nothing. Throws `POLICY_INVALID` and `POLICY_WIDENS` where the file would not do what it is written for. */
export async function planEdit(request: EditRequest): Promise<PolicyEdit> {
  const { policy } = await request.load();
  const path = request.kind === 'user' ? await linkTarget(request.path) : request.path;
  const current = await readPlain(path);
  const after = addRules(current?.text, request.rules, { comment: request.comment });
  const changed = await tryOut(request, after);
  const lost = firstExcess(policy.network, changed.policy.network);
  if (lost !== undefined) {
    throw new CasemateError(
      'POLICY_INVALID',
      `${visible(path)} is not changed: ${lost.host}:${lost.port} would not be allowed any more as it is now`,
      { hint: otherFile(request.kind) },
    );
  }
  const missing = request.covered.find((one) => decideAsked(changed.policy.network, one).verdict === 'deny');
  if (missing !== undefined) {
    throw new CasemateError(
      'POLICY_INVALID',
      `${visible(path)} is not changed: another layer decides here, and ${missing.host}:${missing.port} would still be denied`,
      { hint: otherFile(request.kind) },
    );
  }
  return { path, before: current?.text, after, mode: current?.mode ?? 0o644 };
}

/** A layer that says something about the network bounds those below it: a first rule in it may be one too few. */
async function tryOut({ load, path, kind }: EditRequest, text: string): Promise<{ readonly policy: Policy }> {
  try {
    return await load(new Map([[path, text]]));
  } catch (error) {
    if (isCasemateError(error) && error.code === 'POLICY_WIDENS') {
      throw new CasemateError(
        'POLICY_WIDENS',
        `${visible(path)} is not changed, for the layers would contradict: ${error.message}`,
        {
          cause: error,
          hint: otherFile(kind),
        },
      );
    }
    throw error;
  }
}

function otherFile(kind: EditRequest['kind']): string {
  return kind === 'user'
    ? 'The project has rules of its own: casemate policy propose --write project'
    : 'Write it by hand, or see which layer decides: casemate policy explain HOST';
}

/** Throws `POLICY_INVALID` where the file was changed since it was read. */
export async function writeEdit({ path, before, after, mode }: PolicyEdit): Promise<void> {
  const current = await readPlain(path);
  if (current?.text !== before) {
    throw new CasemateError('POLICY_INVALID', `${visible(path)} was changed meanwhile; nothing is written`, {
      hint: 'Run the command again.',
    });
  }
  await removeDrafts(dirname(path));
  await writeDurably(path, after, mode);
}

/** The user's own file may be a link, to where settings are kept under version control. */
async function linkTarget(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}

/** `undefined`: there is none. A link, a pipe or a folder is refused: what it leads to is not ours to replace. */
async function readPlain(path: string): Promise<{ readonly text: string; readonly mode: number } | undefined> {
  try {
    await refuseLink(path);
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = await file.stat();
      if (!stats.isFile() || stats.size > maxBytes) {
        throw new CasemateError('POLICY_INVALID', `${visible(path)} is not a policy file that can be changed`);
      }
      return { text: await file.readFile('utf8'), mode: stats.mode & 0o777 };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
}

async function refuseLink(path: string): Promise<void> {
  if ((await lstat(path)).isSymbolicLink()) {
    throw new CasemateError('POLICY_INVALID', `${visible(path)} is a symbolic link; it is not followed`, {
      hint: 'Change the file that it leads to.',
    });
  }
}
