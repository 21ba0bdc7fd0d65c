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
  '.mcp.json',
  // containers that an editor builds and starts, with commands on the host
  '.devcontainer',
  '.devcontainer.json',
  // direnv, on entering the folder
  '.envrc',
];
