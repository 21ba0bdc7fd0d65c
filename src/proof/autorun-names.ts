/**
 * Names that tools of a host act on by themselves, written down here apart from the product's own list: what is missing there
 * would otherwise be missing here. Where they come from: the documentation of each tool, and public reports.
 */
export interface AutorunName {
  /** relative to the top of a project */
  readonly name: string;
  readonly kind: 'file' | 'folder';
  readonly by: string;
}

/** Taken up when a folder is entered, opened or looked at, or by any git command: no sandbox may make or change them. */
export const actByThemselves: readonly AutorunName[] = [
  { name: '.git/hooks', kind: 'folder', by: 'git' },
  { name: '.git/config', kind: 'file', by: 'git: core.fsmonitor, filters, aliases' },
  { name: '.git/config.worktree', kind: 'file', by: 'git: the same' },
  { name: '.git/commondir', kind: 'file', by: 'git: moves its settings elsewhere' },
  { name: '.git/modules', kind: 'folder', by: 'git: settings of submodules' },
  { name: '.husky', kind: 'folder', by: 'hooks in the tree' },
  { name: '.vscode', kind: 'folder', by: 'Visual Studio Code: tasks on opening' },
  { name: '.idea', kind: 'folder', by: 'editors of JetBrains: start-up tasks' },
  { name: '.zed', kind: 'folder', by: 'Zed: tasks, language servers' },
  { name: '.claude', kind: 'folder', by: 'Claude Code: hooks (CVE-2026-25725)' },
  { name: '.codex', kind: 'folder', by: 'Codex: notify, servers' },
  { name: '.cursor', kind: 'folder', by: 'Cursor: servers (CVE-2025-59944)' },
  { name: '.gemini', kind: 'folder', by: 'Gemini: servers' },
  { name: '.mcp.json', kind: 'file', by: 'agents: servers to start' },
  { name: '.devcontainer', kind: 'folder', by: 'initializeCommand runs on the host' },
  { name: '.devcontainer.json', kind: 'file', by: 'the same' },
  { name: '.envrc', kind: 'file', by: 'direnv' },
];

/** Act when a person builds, tests, installs or opens what is there: an agent that may not write them does no ordinary work. */
export const actWhenUsed: readonly AutorunName[] = [
  { name: 'package.json', kind: 'file', by: 'npm: scripts' },
  { name: '.npmrc', kind: 'file', by: 'npm: script-shell, node-options' },
  { name: '.yarnrc.yml', kind: 'file', by: 'Yarn: yarnPath' },
  { name: '.pnpmfile.cjs', kind: 'file', by: 'pnpm' },
  { name: 'bunfig.toml', kind: 'file', by: 'Bun: preload' },
  { name: 'setup.py', kind: 'file', by: 'pip' },
  { name: 'pyproject.toml', kind: 'file', by: 'pip: build-backend' },
  { name: 'conftest.py', kind: 'file', by: 'pytest' },
  { name: 'Makefile', kind: 'file', by: 'make' },
  { name: 'justfile', kind: 'file', by: 'just' },
  { name: 'build.rs', kind: 'file', by: 'cargo' },
  { name: '.cargo/config.toml', kind: 'file', by: 'cargo: rustc-wrapper' },
  { name: '.mvn/extensions.xml', kind: 'file', by: 'Maven' },
  { name: 'gradle/wrapper/gradle-wrapper.jar', kind: 'file', by: 'Gradle' },
  { name: '.venv/bin/python', kind: 'file', by: 'editors choose it as the interpreter' },
  { name: 'node_modules/.bin/eslint', kind: 'file', by: 'editors run it' },
  { name: 'eslint.config.js', kind: 'file', by: 'editors run it' },
  { name: '.prettierrc.js', kind: 'file', by: 'editors run it' },
  { name: 'vite.config.ts', kind: 'file', by: 'Vite' },
  { name: '.pre-commit-config.yaml', kind: 'file', by: 'pre-commit' },
  { name: 'lefthook.yml', kind: 'file', by: 'lefthook' },
  { name: '.mise.toml', kind: 'file', by: 'mise, once trusted' },
  { name: '.gdbinit', kind: 'file', by: 'gdb, where its folder is trusted' },
  { name: '.nvim.lua', kind: 'file', by: 'Neovim, once trusted' },
  { name: '.exrc', kind: 'file', by: 'Vim, where exrc is set' },
  { name: '.dir-locals.el', kind: 'file', by: 'Emacs, once allowed' },
  { name: '.gitmodules', kind: 'file', by: 'git clone --recursive elsewhere' },
  { name: '.gitattributes', kind: 'file', by: 'names filters that settings define' },
  { name: '.github/workflows/x.yml', kind: 'file', by: 'the build service' },
  { name: '.gitlab-ci.yml', kind: 'file', by: 'the build service' },
  { name: 'Vagrantfile', kind: 'file', by: 'Vagrant' },
  { name: 'compose.yaml', kind: 'file', by: 'Compose' },
  { name: 'x.desktop', kind: 'file', by: 'a desktop, when it is opened' },
  { name: 'CLAUDE.md', kind: 'file', by: 'an agent reads it as instructions' },
  { name: 'AGENTS.md', kind: 'file', by: 'an agent reads it as instructions' },
  { name: 'sub/.vscode/tasks.json', kind: 'file', by: 'an editor that opens the folder `sub`' },
  { name: 'docs/HEAD', kind: 'file', by: 'git in `docs`, a bare repository in disguise' },
];
