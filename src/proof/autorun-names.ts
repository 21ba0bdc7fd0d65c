/**
 * Names that tools of a host act on by themselves. The list is kept apart from the product's own, so that a name missing there
 * is not missing here too. Sources: the documentation of each tool, and public reports.
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
  { name: '.git/config.lock', kind: 'file', by: 'git: becomes its settings' },
  { name: '.git/config.worktree.lock', kind: 'file', by: 'git: the same' },
  { name: '.git/remotes', kind: 'folder', by: 'git: where it pushes to, and whose hooks it runs, by default' },
  { name: '.git/branches', kind: 'folder', by: 'git: the same' },
  { name: '.git/objects/info/alternates', kind: 'file', by: 'git: whose contents it takes for its own' },
  { name: '.husky', kind: 'folder', by: 'hooks in the tree' },
  { name: '.vscode', kind: 'folder', by: 'Visual Studio Code: tasks on opening' },
  { name: '.idea', kind: 'folder', by: 'editors of JetBrains: start-up tasks' },
  { name: '.zed', kind: 'folder', by: 'Zed: tasks, language servers' },
  { name: '.claude', kind: 'folder', by: 'Claude Code: hooks (CVE-2026-25725)' },
  { name: '.codex', kind: 'folder', by: 'Codex: notify, servers' },
  { name: '.cursor', kind: 'folder', by: 'Cursor: servers (CVE-2025-59944)' },
  { name: '.gemini', kind: 'folder', by: 'Gemini: servers' },
  { name: '.qwen', kind: 'folder', by: 'Qwen Code: servers' },
  { name: '.kiro', kind: 'folder', by: 'Kiro: servers, hooks' },
  { name: '.roo', kind: 'folder', by: 'Roo Code: servers' },
  { name: '.windsurf', kind: 'folder', by: 'Windsurf: hooks that are commands' },
  { name: '.mcp.json', kind: 'file', by: 'agents: servers to start' },
  { name: '.devcontainer', kind: 'folder', by: 'initializeCommand runs on the host' },
  { name: '.devcontainer.json', kind: 'file', by: 'the same' },
  { name: '.envrc', kind: 'file', by: 'direnv' },
];
