import { randomBytes } from 'node:crypto';

import { readAnswers, readPart, type RunInside } from '../inside/observe.ts';

/** Attacks inside a sandbox of the lab, in addition to the questions that may be asked anywhere: these change things there. */
export interface Attack {
  /** of `inside/attacks/` */
  readonly file: string;
  /** what the program finds in `@GIVEN` */
  readonly given: readonly string[];
  readonly questions: readonly string[];
}

/** Carries out an attack inside; answers are written and read as those to questions. Throws for one that is missing. */
export async function attackInside(inside: RunInside, { file, given, questions }: Attack): Promise<(name: string) => unknown> {
  const [start, part, end] = await Promise.all(['ask', `attacks/${file}`, 'end'].map(readPart));
  const words = given.map((word) => `'${word.replaceAll(/['\\]/g, String.raw`\$&`)}'`);
  const program = [start, `our @GIVEN = (${words.join(', ')});`, part, end].join('\n');
  const nonce = randomBytes(12).toString('hex');
  const { code, out, err } = await inside(['perl', '-e', program, nonce, ...questions], { timeoutMs: 120_000 });
  const answers = readAnswers(out.toString('utf8'), nonce);
  return (name) => {
    const answer = answers.get(name);
    if (answer === undefined || 'missing' in answer) {
      const said = err.toString('utf8').trim().split('\n').at(-1) ?? '';
      throw new Error(`no answer to "${name}": ${answer?.missing ?? `the attack ended with ${code}: ${said.slice(0, 200)}`}`);
    }
    return answer.answer;
  };
}
