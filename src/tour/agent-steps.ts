/** Turns what Claude Code prints with `--output-format stream-json`, one JSON object a line, into lines for a person. */

/** Lines to show for one line of the stream; nothing for what a person need not see. Safe text is the caller's concern. */
export function stepsOf(line: string): readonly string[] {
  const message = parse(line);
  if (message === undefined) {
    return line.trim() === '' ? [] : [line];
  }
  const content = field(field(message, 'message'), 'content');
  const blocks = Array.isArray(content) ? content : [];
  if (field(message, 'type') === 'assistant') {
    return blocks.flatMap(assistantStep);
  }
  return field(message, 'type') === 'user' ? blocks.flatMap(resultStep) : [];
}

function assistantStep(block: unknown): readonly string[] {
  const kind = field(block, 'type');
  if (kind === 'text') {
    return text(field(block, 'text'))
      .split('\n')
      .filter((line) => line !== '');
  }
  return kind === 'tool_use' ? [`> ${text(field(block, 'name'))}: ${toolSubject(field(block, 'input'))}`] : [];
}

const subjectFields = ['command', 'file_path', 'pattern', 'url', 'description'] as const;

function toolSubject(input: unknown): string {
  const found = subjectFields.map((name) => text(field(input, name))).find((value) => value !== '');
  return (found ?? '').replaceAll(/\s+/g, ' ').slice(0, 120);
}

/** The first lines of what a tool answered. */
function resultStep(block: unknown): readonly string[] {
  if (field(block, 'type') !== 'tool_result') {
    return [];
  }
  const content = field(block, 'content');
  const parts =
    typeof content === 'string' ? [content] : Array.isArray(content) ? content.map((part) => text(field(part, 'text'))) : [];
  const lines = parts
    .join('\n')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const shown = lines.slice(0, shownLines).map((line) => `    ${line.slice(0, 140).replaceAll('\t', '  ')}`);
  return lines.length > shownLines ? [...shown, `    ... ${lines.length - shownLines} more lines`] : shown;
}

const shownLines = 3;

function parse(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
