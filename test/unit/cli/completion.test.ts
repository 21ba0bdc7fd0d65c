/** Completion is made from the table alone; what it prints is data to the shell, never code from the table. */
import { describe, expect, test } from 'vitest';

import type { CommandRow, CommandTable } from '../../../src/cli/command.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../../../src/cli/completion.ts';
import { run } from '../../../src/cli/commands/completion.ts';

const load: CommandRow['load'] = () => Promise.reject(new Error('completion must not load a command'));
const table: CommandTable = {
  run: {
    summary: "It's a summary",
    usage: '',
    examples: [],
    load,
    options: [
      { name: 'runtime', value: 'runc|crun', about: "the agent's [runtime]: pick" },
      { name: 'policy', short: 'p', value: 'FILE', about: 'a file' },
      { name: 'env', value: 'NAME', repeats: true, about: 'again' },
    ],
  },
  'policy check': { summary: 'Check', usage: '', examples: [], load, options: [] },
  'policy explain': { summary: 'Explain', usage: '', examples: [], load, options: [] },
  mcp: { summary: 'Serve', usage: '', examples: [], load, options: [{ name: 'root', value: 'PATH', about: 'a folder' }] },
  'mcp serve': { summary: 'Serve over HTTP', usage: '', examples: [], load, options: [] },
  shell: { summary: 'Script', usage: 'bash|zsh', examples: [], load, options: [] },
};

describe('bash', () => {
  test('offers commands, subcommands, options and listed values', () => {
    const script = bashCompletion(table);
    expect(script).toContain("compgen -W 'run policy mcp shell'");
    expect(script).toContain("'policy') words='check explain --help'");
    expect(script).toContain("'run') words='--runtime --policy --env --help'");
    expect(script).toContain("'run --runtime') COMPREPLY=($(compgen -W 'runc crun'");
  });
});

describe('a command that is a family, too, and one whose argument is one of a few words', () => {
  test('are completed in each shell', () => {
    const bash = bashCompletion(table);
    expect(bash).toContain("'mcp') words='serve --root --help'");
    expect(bash.match(/'mcp'\) words/g)).toHaveLength(1);
    expect(bash).toContain("'shell') words='bash zsh --help'");
    const zsh = zshCompletion(table);
    expect(zsh).toContain("'mcp') if (( CURRENT == 3 )) && [[ $words[3] != -* ]]; then _values 'command' 'serve'; return; fi");
    expect(zsh).toContain("'policy') if (( CURRENT == 3 )); then");
    expect(zsh).toContain("'*:argument:(bash zsh)'");
    expect(fishCompletion(table)).toContain("-n '__fish_seen_subcommand_from shell' -a 'bash zsh'");
  });
});

describe('zsh', () => {
  test('escapes what its specifications give a meaning', () => {
    const script = zshCompletion(table);
    expect(script).toContain(String.raw`'--runtime[the agent'\''s \[runtime\]\: pick]:runc crun:(runc crun)'`);
    expect(script).toContain("'--policy[a file]:FILE:_files'");
    expect(script).toContain("'-p[a file]:FILE:_files'");
    expect(script).toContain("'*--env[again]:NAME: '");
  });

  test('completes where it is called as a function of its name, and only says so where it is sourced', () => {
    const script = zshCompletion(table);
    expect(script.split('\n').slice(-6).join('\n')).toBe(
      'if [[ ${funcstack[1]-} == _casemate ]]; then\n  _casemate "$@"\nelse\n  compdef _casemate casemate\nfi\n',
    );
  });
});

describe('fish', () => {
  test('escapes quotes and offers subcommands below their family', () => {
    const script = fishCompletion(table);
    expect(script).toContain(String.raw`-a 'run' -d 'It\'s a summary'`);
    expect(script).toContain("-n '__fish_seen_subcommand_from policy' -a 'check' -d 'Check'");
    expect(script).toContain("-l policy -s p -r -F -d 'a file'");
    expect(script).toContain("-l env -x -d 'again'");
    expect(script).toContain("-l runtime -x -a 'runc crun'");
  });
});

describe('the command', () => {
  test('prints a script, and names the shells it knows for any other', async () => {
    const written: string[] = [];
    const stdout = { write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream;
    await expect(run(['bash'], { stdout })).resolves.toBe(0);
    expect(written.join('')).toContain('complete -o default -F _casemate casemate');
    await expect(run(['fsh'], { stdout })).rejects.toMatchObject({ code: 'USAGE', hint: 'Did you mean zsh?' });
    await expect(run([], { stdout })).rejects.toMatchObject({ code: 'USAGE' });
  });
});
