import { member, parseLine } from '../agents/print.ts';
import { asText } from '../base/json.ts';

/** Turns what Claude Code prints with `--output-format stream-json`, one JSON object a line, into lines for a person. */

/** Lines to show for one line of the stream; nothing for what a person need not see. Safe text is the caller's concern. */
export function stepsOf(line: string): readonly string[] {
  const message = parseLine(line);
  if (message === undefined) {
    return line.trim() === '' ? [] : [line];
  }
  const content = member(message, 'message', 'content');
  const blocks = Array.isArray(content) ? content : [];
  if (member(message, 'type') === 'assistant') {
    return blocks.flatMap(assistantStep);
  }
  return member(message, 'type') === 'user' ? blocks.flatMap(resultStep) : [];
}

function assistantStep(block: unknown): readonly string[] {
  const kind = member(block, 'type');
  if (kind === 'text') {
    return asText(member(block, 'text'))
      .split('\n')
      .filter((line) => line !== '');
  }
  return kind === 'tool_use' ? [`> ${asText(member(block, 'name'))}: ${toolSubject(member(block, 'input'))}`] : [];
}

const subjectFields = ['command', 'file_path', 'pattern', 'url', 'description'] as const;

function toolSubject(input: unknown): string {
  const found = subjectFields.map((name) => asText(member(input, name))).find((value) => value !== '');
  return (found ?? '').replaceAll(/\s+/g, ' ').slice(0, 120);
}

/** The first lines of what a tool answered. */
function resultStep(block: unknown): readonly string[] {
  if (member(block, 'type') !== 'tool_result') {
    return [];
  }
  const content = member(block, 'content');
  const parts =
    typeof content === 'string' ? [content] : Array.isArray(content) ? content.map((part) => asText(member(part, 'text'))) : [];
  const lines = parts
    .join('\n')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const shown = lines.slice(0, shownLines).map((line) => `    ${line.slice(0, 140).replaceAll('\t', '  ')}`);
  return lines.length > shownLines ? [...shown, `    ... ${lines.length - shownLines} more lines`] : shown;
}

const shownLines = 3;
