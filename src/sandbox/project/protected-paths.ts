/**
 * Names in a workspace that tools of the host load and act on by themselves: because a folder is entered, opened or listed, or
 * because any git command runs there. In `direct` mode a sandbox can neither create, change nor replace them.
 *
 * Left out, because they act only when a person runs the project's own build, tests or packages, and an agent that may not edit
 * them cannot do ordinary work: package.json, Makefile, .npmrc, .yarnrc.yml, .pre-commit-config.yaml, CLAUDE.md, AGENTS.md,
 * .github/workflows. Review before running protects from those.
 */
export const protectedPaths: readonly string[] = [
  // git: every command reads these, and each can name a program (core.fsmonitor, filters, hooks). `commondir` moves the
  // place git reads them from. `modules` holds one such folder for each submodule.
  '.git/hooks',
  '.git/config',
  '.git/config.worktree',
  '.git/commondir',
  '.git/modules',
  // git replaces its settings by this file, and with the old one goes the mount that protected it: while this name is taken,
  // git of the host says that it cannot lock them (config.c, lockfile.c)
  '.git/config.lock',
  '.git/config.worktree.lock',
  // other repositories: `git push` asks old files for one where the settings name none, and runs its hooks; whose contents are
  // git's own, too, is read and passed on with them
  '.git/remotes',
  '.git/branches',
  '.git/objects/info/alternates',
  // hooks that husky installs lie in the tree itself
  '.husky',
  // editors: tasks and settings that start programs when the folder is opened
  '.vscode',
  '.idea',
  '.zed',
  // agents on the host: hooks, permissions, servers to start
  '.claude',
  '.codex',
  '.cursor',
  '.gemini',
  '.qwen',
  '.kiro',
  '.roo',
  '.windsurf',
  '.mcp.json',
  // containers that an editor builds and starts, with commands on the host
  '.devcontainer',
  '.devcontainer.json',
  // direnv, on entering the folder
  '.envrc',
];

/** Which of them a path of the host lies in or is, `.git` as a whole among them; `undefined`: in none. */
export function protectedNameIn(path: string): string | undefined {
  const parts = path.split('/').map(folded);
  return protectedPaths.find((entry) => holds(parts, entry.split('/'))) ?? (parts.includes('.git') ? '.git' : undefined);
}

/**
 * A name as the most lenient file system takes it: in any case, in another form of its letters or with signs that are not seen
 * (APFS and HFS+; CVE-2014-9390), with blanks and dots behind it or by its short form (NTFS, also as WSL shows it).
 */
function folded(name: string): string {
  const plain = name
    .normalize('NFKC')
    .replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase();
  const end = plain.search(/[. ]*$/);
  const bare = end === 0 ? plain : plain.slice(0, end);
  return bare === 'git~1' ? '.git' : bare;
}

function holds(parts: readonly string[], wanted: readonly string[]): boolean {
  return parts.some((_, index) => wanted.every((part, offset) => parts[index + offset] === part));
}
