/** Examples in pages and in the command table are tried: policies parse, commands and their options exist. */
import { describe, expect, test } from 'vitest';

import { parseAgent } from '../../src/agents/described/parse-agent.ts';
import { commands } from '../../src/cli/commands.ts';
import { parseOptions } from '../../src/cli/reading/parse-options.ts';
import { parsePolicy } from '../../src/policy/written/parse.ts';
import { tree } from './tree.ts';

const pages = tree.filter(({ path }) => path.endsWith('.md') && !path.startsWith('src/tour/sample/'));

interface Example {
  readonly where: string;
  readonly text: string;
}

function blocks(language: string): readonly Example[] {
  return pages.flatMap(({ path, text }) =>
    Array.from(text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm')), ([, body = '']) => ({
      where: path,
      text: body,
    })),
  );
}

/** Command lines of `casemate` in a text, as words; a comment and a redirection end one. Quotes hold a word together. */
function commandLines(text: string): readonly (readonly string[])[] {
  return Array.from(text.matchAll(/(?:^|[`;&|]\s*)(?:[A-Z_]+=\S+ )?casemate ([^`\n]*)/gm), ([, rest = '']) =>
    Array.from(
      (/^(.*?)(?:\s+#.*|\s+[>|].*)?$/.exec(rest)?.[1] ?? '').matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g),
      ([, double, single, bare]) => double ?? single ?? bare ?? '',
    ),
  );
}

function commandFault(words: readonly string[]): string | undefined {
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((key) => Object.hasOwn(commands, key));
  const row = name === undefined ? undefined : commands[name];
  if (name === undefined || row === undefined) {
    return `there is no command ${words.join(' ')}`;
  }
  try {
    parseOptions(row, words.slice(name.split(' ').length));
    return undefined;
  } catch (error) {
    return `casemate ${words.join(' ')}: ${String(error)}`;
  }
}

describe('policies in pages', () => {
  test('are policies', () => {
    const examples = blocks('yaml').filter(({ text }) => text.includes('version:') && !text.includes('program:'));
    expect(examples.length).toBeGreaterThan(0);
    for (const { where, text } of examples) {
      expect(() => parsePolicy({ text, kind: 'user', source: where, folder: '/x', workspaceFolder: '/x' })).not.toThrow();
    }
  });
});

describe('agents in pages', () => {
  test('are descriptions', () => {
    const described = tree.filter(({ path }) => /^docs\/agents\/[a-z]+\.yaml$/.test(path));
    const examples = [
      ...blocks('yaml').filter(({ text }) => text.includes('program:')),
      ...described.map(({ path, text }) => ({ where: path, text })),
    ];
    expect(examples.length).toBeGreaterThan(1);
    for (const { where, text } of examples) {
      expect(() => parseAgent({ source: where, text })).not.toThrow();
    }
  });
});

describe('command lines', () => {
  const inPages = blocks('sh').filter(({ where }) => where !== 'docs/commands.md');
  const inTable = Object.entries(commands).map(([where, row]): Example => ({ where, text: row.examples.join('\n') }));

  test('of pages and of the command table name commands and options that exist', () => {
    const lines = [...inPages, ...inTable].flatMap(({ text }) => commandLines(text));
    expect(lines.length).toBeGreaterThan(30);
    expect(lines.map(commandFault).filter((fault) => fault !== undefined)).toEqual([]);
  });

  test('would be caught with a command or an option that does not exist', () => {
    expect(commandLines('casemate frobnicate x # y').map(commandFault)).toEqual(['there is no command frobnicate x']);
    expect(commandLines('A=1 casemate run --polcy "a b" -- ls > z').map(commandFault)[0]).toMatch(/unknown option --polcy/);
  });
});
