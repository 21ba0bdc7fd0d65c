import { CasemateError } from '../../base/errors.ts';
import type { CommandContext } from '../command.ts';

/** Reads one line from a terminal without echoing it. The terminal is restored, whatever happens. */

/** What is pasted comes in pieces that follow each other closely; a second line among them is noticed and not left behind. */
const pasteMs = 60;
const enter = /[\r\n]/;

/** Throws `USAGE` on Ctrl-C, Ctrl-D on an empty line, and for more than one line. */
export async function readHiddenLine(
  { stdin, stderr }: Pick<CommandContext, 'stdin' | 'stderr'>,
  prompt: string,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let typed = '';
  let timer: NodeJS.Timeout | undefined;
  const give = (): void => {
    const [line = '', ...more] = typed.split(/\r\n|[\r\n]/);
    if (more.some((rest) => rest !== '')) {
      reject(new CasemateError('USAGE', 'more than one line came; a credential is one line', { hint: 'Nothing was changed.' }));
    } else {
      resolve(withoutPasteMarks(line));
    }
  };
  const take = (data: Buffer | string): void => {
    for (const letter of data.toString()) {
      if (letter === '\u0003' || (letter === '\u0004' && typed === '')) {
        reject(new CasemateError('USAGE', 'broken off; nothing was changed'));
        return;
      }
      typed = edited(typed, letter);
    }
    if (enter.test(typed)) {
      clearTimeout(timer);
      timer = setTimeout(give, pasteMs);
    }
  };
  // Before the prompt: whoever sees it may type, and nothing of it is shown from here on.
  stdin.setRawMode(true);
  stderr.write(prompt);
  stdin.on('data', take);
  stdin.once('end', give);
  stdin.resume();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stdin.off('data', take);
    stdin.off('end', give);
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

/** Backspace takes one letter back, Ctrl-U all. */
function edited(typed: string, letter: string): string {
  if (letter === '\u007f' || letter === '\b') {
    return typed.slice(0, -1);
  }
  return letter === '\u0015' ? '' : typed + letter;
}

/** Terminals put marks around what is pasted where some program before us asked for them. */
function withoutPasteMarks(line: string): string {
  return line.replaceAll('\u001b[200~', '').replaceAll('\u001b[201~', '');
}
