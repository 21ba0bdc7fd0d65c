/**
 * Files that tools of the host load and act on by themselves, as an agent would plant them in a working folder: one for each
 * name that Casemate protects, with those first that most tools protect.
 */
export const plantedNames: readonly string[] = [
  '.git/hooks/pre-commit',
  '.git/config',
  '.vscode/settings.json',
  '.idea/workspace.xml',
  '.claude/settings.json',
  '.mcp.json',
  '.git/config.worktree',
  '.git/commondir',
  '.git/modules/planted/config',
  '.git/config.lock',
  '.git/config.worktree.lock',
  '.git/remotes/origin',
  '.git/branches/origin',
  '.git/objects/info/alternates',
  '.husky/pre-commit',
  '.zed/tasks.json',
  '.codex/config.toml',
  '.cursor/mcp.json',
  '.gemini/settings.json',
  '.qwen/settings.json',
  '.kiro/settings/mcp.json',
  '.roo/mcp.json',
  '.windsurf/hooks.json',
  '.devcontainer/devcontainer.json',
  '.devcontainer.json',
  '.envrc',
];

/** Those that are there before the sandbox starts, with their content. */
export const presentFiles: Readonly<Record<string, string>> = {
  '.git/HEAD': 'ref: refs/heads/main\n',
  '.git/config': '[core]\n\trepositoryformatversion = 0\n\tbare = false\n',
  '.vscode/settings.json': '{}\n',
  'README.md': '# A project with canaries\n',
};
export const presentFolders: readonly string[] = ['.git/hooks', '.git/objects', '.git/refs/heads', '.vscode'];
