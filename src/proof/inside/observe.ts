import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { dataFile } from '../../system/data-file.ts';
import type { Inside, InsideOptions } from '../target.ts';

/**
 * Asks questions inside a sandbox and reads the answers. The program is passed as an argument, so it needs nothing in the
 * sandbox but the `perl` of every Debian. The answers were written by a sandbox: they are bounded, parsed strictly, and only
 * lines with this call's nonce count.
 */

/** An answer, or why there is none. */
export type Answer = { readonly answer: unknown } | { readonly missing: string };
export type Answers = ReadonlyMap<string, Answer>;

export type RunInside = (command: readonly string[], options?: InsideOptions) => Promise<Inside>;

const groups = ['kernel', 'files', 'network', 'surface', 'around'] as const;
const greatestLineBytes = 1024 * 1024;

/** What a question is told, by question: words, encoded as in an address. */
export type Tells = Readonly<Record<string, string>>;

/** The argument list that puts these questions. Throws where nobody has written one of them. */
export async function askingCommand(nonce: string, questions: readonly string[], tells: Tells = {}): Promise<readonly string[]> {
  const [start, end, ...parts] = await Promise.all(['ask', 'end', ...groups].map(readPart));
  const needed = parts.filter((text) => questions.some((name) => text.includes(`$Q{${name}}`)));
  return ['perl', '-e', [start, ...needed, end].join('\n'), nonce, ...questions.map((name) => asked(name, tells))];
}

function asked(name: string, tells: Tells): string {
  const words = Object.hasOwn(tells, name) ? tells[name] : undefined;
  return words === undefined ? name : `${name}=${words}`;
}

/** A part of the program inside, by its name below `inside/`. */
export async function readPart(name: string): Promise<string> {
  const text = await readFile(dataFile(`proof/inside/${name}.pl`), 'utf8');
  // What is said to readers need not travel: an argument has room for 128 KiB (execve(2)).
  return text.replaceAll(/^\s*#.*\n/gm, '');
}

export async function observe(inside: RunInside, questions: readonly string[], tells?: Tells): Promise<Answers> {
  const nonce = randomBytes(12).toString('hex');
  const command = await askingCommand(nonce, questions, tells);
  const { code, out, err } = await inside(command, { timeoutMs: 120_000 });
  const answers = readAnswers(out.toString('utf8'), nonce);
  const words = err.toString('utf8').trim().split('\n').at(-1) ?? '';
  const missing = { missing: `the probe ended with ${code}${words === '' ? '' : `: ${words.slice(0, 200)}`}` };
  return new Map(questions.map((name) => [name, answers.get(name) ?? missing]));
}

/** Lines of `<nonce> <question> <JSON>`; anything else is somebody else's output. */
export function readAnswers(text: string, nonce: string): Answers {
  const answers = new Map<string, Answer>();
  for (const line of text.split('\n')) {
    const [, name, json] = /^(\S+) (\{.*)$/.exec(line.startsWith(`${nonce} `) ? line.slice(nonce.length + 1) : '') ?? [];
    if (name !== undefined && json !== undefined && json.length <= greatestLineBytes) {
      answers.set(name, readAnswer(json));
    }
  }
  return answers;
}

function readAnswer(json: string): Answer {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { missing: 'the answer is malformed' };
  }
  if (typeof value !== 'object' || value === null) {
    return { missing: 'the answer is malformed' };
  }
  if ('answer' in value) {
    return { answer: value.answer };
  }
  const { fault, died }: { readonly fault?: unknown; readonly died?: unknown } = value;
  return { missing: typeof fault === 'string' ? fault.trim().slice(0, 200) : `the probe was ended by signal ${String(died)}` };
}
