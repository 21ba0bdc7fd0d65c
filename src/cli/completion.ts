import type { CommandRow, CommandTable, OptionRow } from './command.ts';

/** Completion scripts for three shells, made from the command table. Pure; the scripts start no program. */

const paths = new Set(['FILE', 'PATH', 'FOLDER']);

/** For `bash` 4 or newer: `source <(casemate completion bash)`. */
export function bashCompletion(table: CommandTable): string {
  return `# bash completion of casemate
_casemate() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} word name='' words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == -- ]]; then return; fi
  done
  case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${secondWords(table, (name) => `    ${quoted(name)}) name=${quoted(name)} ;;`)}
    *) name=\${COMP_WORDS[1]} ;;
  esac
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W ${quoted(firstWords(table).join(' '))} -- "$current"))
    return
  fi
  case "$name $previous" in
${valueRows(table, (key, words) => `    ${quoted(key)}) COMPREPLY=($(compgen -W ${quoted(words.join(' '))} -- "$current")); return ;;`)}
  esac
  case "$name" in
${wordRows(table, (name, words) => `    ${quoted(name)}) words=${quoted(words.join(' '))} ;;`)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _casemate casemate
`;
}

/** For `zsh`: put it as `_casemate` into a folder of `$fpath`, or source it once `compinit` has run. */
export function zshCompletion(table: CommandTable): string {
  const rows = Object.entries(table).map(([name, row]) => {
    const specs = row.options.flatMap(zshOption).map((spec) => `        ${spec}`);
    return `      ${quoted(name)})\n        _arguments -S ${quoted('--help[show help]')}${specs.map((spec) => ` \\\n${spec}`).join('')} ${quoted(`*:argument:${zshArguments(row)}`)} ;;`;
  });
  return `#compdef casemate
_casemate() {
  local name
  if (( CURRENT == 2 )); then
    _values 'command' ${firstWords(table)
      .map((word) => quoted(word))
      .join(' ')}
    return
  fi
  if (( \${words[(I)--]} > 0 && \${words[(I)--]} < CURRENT )); then
    _files
    return
  fi
  case $words[2] in
${families(table)
  .map(
    ([first, seconds]) =>
      `    ${quoted(first)}) if (( CURRENT == 3 ))${Object.hasOwn(table, first) ? ' && [[ $words[3] != -* ]]' : ''}; then _values 'command' ${seconds.map(quoted).join(' ')}; return; fi ;;`,
  )
  .join('\n')}
  esac
  name=$words[2]
  case "$words[2] $words[3]" in
${secondWords(table, (key) => `    ${quoted(key)}) name=${quoted(key)} ;;`)}
  esac
  case $name in
${rows.join('\n')}
  esac
}
if [[ \${funcstack[1]-} == _casemate ]]; then
  _casemate "$@"
else
  compdef _casemate casemate
fi
`;
}

/** For `fish`: put it into `~/.config/fish/completions/casemate.fish`. */
export function fishCompletion(table: CommandTable): string {
  const lines = ['# fish completion of casemate', 'complete -c casemate -f'];
  for (const word of firstWords(table)) {
    lines.push(
      `complete -c casemate -n __fish_use_subcommand -a ${fishQuoted(word)} -d ${fishQuoted(table[word]?.summary ?? `${word} commands`)}`,
    );
  }
  for (const [name, row] of Object.entries(table)) {
    const [first = '', second] = name.split(' ');
    const seen = `__fish_seen_subcommand_from ${first}`;
    if (second !== undefined) {
      lines.push(`complete -c casemate -n ${fishQuoted(seen)} -a ${fishQuoted(second)} -d ${fishQuoted(row.summary)}`);
    }
    const when = second === undefined ? seen : `${seen}; and __fish_seen_subcommand_from ${second}`;
    const words = argumentChoices(row);
    if (words.length > 0) {
      lines.push(`complete -c casemate -n ${fishQuoted(when)} -a ${fishQuoted(words.join(' '))}`);
    }
    lines.push(...row.options.map((option) => fishOption(when, option)));
  }
  return `${lines.join('\n')}\n`;
}

function firstWords(table: CommandTable): readonly string[] {
  return [...new Set(Object.keys(table).map((name) => name.split(' ')[0] ?? name))];
}

function families(table: CommandTable): readonly (readonly [string, readonly string[]])[] {
  const names = Object.keys(table).map((name) => name.split(' '));
  return firstWords(table)
    .map((first): [string, string[]] => [first, names.filter(([a, b]) => a === first && b !== undefined).map(([, b = '']) => b)])
    .filter(([, seconds]) => seconds.length > 0);
}

function secondWords(table: CommandTable, line: (name: string) => string): string {
  return Object.keys(table)
    .filter((name) => name.includes(' '))
    .map(line)
    .join('\n');
}

function wordRows(table: CommandTable, line: (name: string, words: readonly string[]) => string): string {
  // `mcp` is a command and a family of commands: both are offered.
  const seconds = new Map(families(table));
  const own = Object.entries(table).map(([name, row]) => line(name, [...(seconds.get(name) ?? []), ...ownWords(row)]));
  const alone = [...seconds].filter(([first]) => !Object.hasOwn(table, first));
  return [...own, ...alone.map(([first, words]) => line(first, [...words, '--help']))].join('\n');
}

function ownWords(row: CommandRow): readonly string[] {
  return [...argumentChoices(row), ...row.options.map((option) => `--${option.name}`), '--help'];
}

/** What the one argument of a command may be, where its usage lists it: `bash|zsh|fish`. */
function argumentChoices({ usage }: CommandRow): readonly string[] {
  return /^[a-z]+(?:\|[a-z]+)+$/.test(usage) ? usage.split('|') : [];
}

/** Options whose placeholder lists their values, such as `runc|crun|runsc`. */
function valueRows(table: CommandTable, line: (key: string, words: readonly string[]) => string): string {
  return Object.entries(table)
    .flatMap(([name, { options }]) => options.map((option) => ({ key: `${name} --${option.name}`, words: choices(option) })))
    .filter(({ words }) => words.length > 0)
    .map(({ key, words }) => line(key, words))
    .join('\n');
}

function choices({ value }: OptionRow): readonly string[] {
  return value?.includes('|') === true ? value.split('|') : [];
}

function zshArguments(row: CommandRow): string {
  const words = argumentChoices(row);
  return words.length === 0 ? '_files' : `(${words.join(' ')})`;
}

function zshOption(option: OptionRow): string[] {
  const about = `[${option.about.replaceAll(/[[\]:\\]/g, String.raw`\$&`)}]`;
  const action = choices(option).length > 0 ? `(${choices(option).join(' ')})` : paths.has(option.value ?? '') ? '_files' : ' ';
  const value = option.value === undefined ? '' : `:${option.value.replaceAll(/[[\]:\\|]/g, ' ')}:${action}`;
  const repeat = option.repeats === true ? '*' : '';
  const names = option.short === undefined ? [`--${option.name}`] : [`--${option.name}`, `-${option.short}`];
  return names.map((name) => quoted(`${repeat}${name}${about}${value}`));
}

function fishOption(when: string, option: OptionRow): string {
  const short = option.short === undefined ? '' : ` -s ${option.short}`;
  // `-x`: a value, and never a file; fish would offer the files of the folder beside the words.
  const kind = paths.has(option.value ?? '') ? ' -r -F' : ' -x';
  const words = choices(option).length > 0 ? ` -a ${fishQuoted(choices(option).join(' '))}` : '';
  const value = option.value === undefined ? '' : `${kind}${words}`;
  return `complete -c casemate -n ${fishQuoted(when)} -l ${option.name}${short}${value} -d ${fishQuoted(option.about)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
