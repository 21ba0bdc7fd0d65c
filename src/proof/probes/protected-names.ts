import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { actByThemselves } from '../autorun-names.ts';
import { none } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import { attackInside } from '../lab/attack-inside.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import type { ProbeTable } from '../probe.ts';
import { changes, fingerprint } from '../outside/tree.ts';
import { textMap } from '../read-answer.ts';

/**
 * Protected names of a workspace (G5): made, changed, replaced, renamed around and aliased from inside in every way a file
 * system allows, whether they exist or not, at the first start and at a later one. Judged only on the host's disk.
 */

const names = actByThemselves.map(({ name }) => name);
/** In a package, a submodule and a linked worktree, where they exist before the start. */
const deeper = ['packages/a/.vscode', 'sub/.git/config', 'sub/.git/hooks', '.git/worktrees/w/commondir', '.githooks'];

export const protectedNameProbes: ProbeTable = {
  'protect.existing': {
    where: 'lab',
    title: 'change, replace, rename around or alias names that tools of the host act on, where they exist',
    proves: ['G5', 'G7'],
    profile: 'full',
    source: 'CVE-2014-9390, CVE-2025-59944, CVE-2026-25725; RENAME_EXCHANGE in rename(2)',
    run: (lab) => attackNames(lab, { name: 'names-there', fill: fillProject, watched: [...names, ...deeper] }),
  },
  'protect.missing': {
    where: 'lab',
    title: 'make names that tools of the host act on, where they do not exist',
    proves: ['G5', 'G7'],
    profile: 'full',
    source: 'CVE-2026-25725: only what existed was protected',
    run: (lab) => attackNames(lab, { name: 'names-missing', fill: emptyProject, watched: names }),
  },
};

interface Project {
  readonly name: string;
  readonly fill: (workspace: string) => Promise<void>;
  readonly watched: readonly string[];
}

async function attackNames(lab: Lab, { name, fill, watched }: Project): Promise<{ readonly rows: readonly Row[] }> {
  const sandbox = await lab.make(name, { start: false });
  const { workspace } = sandbox;
  await fill(workspace);
  await lab.give(workspace);
  const before = await fingerprint(workspace, watched);
  const rows: Row[] = [];
  for (const round of ['first start', 'after another start']) {
    // oxlint-disable-next-line no-await-in-loop -- one start after the other is the point
    rows.push(...(await attackOnce(lab, sandbox, { round, watched })));
  }
  const after = await fingerprint(workspace, watched);
  rows.push(none('names that are not as they were before the first start', changes(before, after)));
  await lab.casemate(['destroy', name, '--confirm', name]);
  return { rows };
}

interface Round {
  readonly round: string;
  readonly watched: readonly string[];
}

/** Between start and stop a placeholder may stand where there is nothing: it, too, has to stay what it is. */
async function attackOnce(lab: Lab, sandbox: LabSandbox, { round, watched }: Round): Promise<readonly Row[]> {
  const { workspace, target } = sandbox;
  const started = await lab.casemate(['start', sandbox.name]);
  if (started.code !== 0) {
    // What was done before may be why: the rows of then decide.
    const seen = started.err.toString('utf8').trim().slice(0, 200);
    return [control(`the sandbox starts, ${round}`, { expected: 'started', seen, ok: false, from: 'outside' })];
  }
  const before = await fingerprint(workspace, watched);
  const given = ['/workspace', `planted-${sandbox.id}`, ...watched];
  const answer = await attackInside(target.inside, { file: 'names', given, questions: ['attack_names', 'legal_names'] });
  const after = await fingerprint(workspace, watched);
  await lab.casemate(['stop', sandbox.name]);
  return [
    none(`names that changed, ${round}`, changes(before, after)),
    legalRow(textMap(answer('legal_names')), target.plan?.workspace.mode === 'readonly'),
  ];
}

function legalRow(
  { write = 'none', rename = 'none', read = 'none' }: Readonly<Record<string, string>>,
  isReadOnly: boolean,
): Row {
  const seen = `write ${write}, rename ${rename}, read ${read}`;
  const expected = isReadOnly ? 'write EROFS, rename EROFS, read DONE' : 'write DONE, rename DONE, read DONE';
  // A name that was never made cannot be renamed.
  const ok = isReadOnly ? write === 'EROFS' && read === 'DONE' : seen === expected;
  return control('an ordinary file of the workspace', { expected, seen, ok });
}

/** Everything is there, as in the work of a person: a repository with a submodule and a linked worktree, editors, agents. */
async function fillProject(workspace: string): Promise<void> {
  for (const { name, kind } of actByThemselves) {
    // oxlint-disable-next-line no-await-in-loop -- a handful
    await put(workspace, kind === 'folder' ? `${name}/mine` : name, name === '.git/commondir' ? '.\n' : '# mine\n');
  }
  const more = {
    '.git/config': '[core]\n\trepositoryformatversion = 0\n\thooksPath = .githooks\n',
    '.githooks/pre-commit': '#!/bin/sh\n',
    '.git/worktrees/w/commondir': '../..\n',
    'packages/a/.vscode/settings.json': '{}\n',
    'sub/.git/config': '[core]\n',
    'sub/.git/hooks/mine': '',
    'sub/.git/HEAD': 'ref: refs/heads/main\n',
  };
  for (const [path, text] of Object.entries(more)) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    await put(workspace, path, text);
  }
}

async function emptyProject(workspace: string): Promise<void> {
  await rm(join(workspace, '.git'), { recursive: true });
}

async function put(workspace: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(workspace, path)), { recursive: true });
  await writeFile(join(workspace, path), text);
}
