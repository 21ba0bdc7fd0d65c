import { randomBytes } from 'node:crypto';

import { attack, control, type Row } from '../finding.ts';
import { observe, type RunInside } from '../inside/observe.ts';
import { readTyped, type Typed } from '../outside/host-terminal.ts';
import { everyRow, type ProbeTable } from '../probe.ts';
import type { Target } from '../target.ts';
import { textMap } from '../read-answer.ts';
import { told } from '../watch/start-watch.ts';

/** The terminal of whoever starts a sandbox: after the sandbox ends, text it put there would count as typed by that person. */

const question = 'type_outside';

export const aroundTerminalProbes: ProbeTable = {
  'around.terminal': {
    where: 'watched',
    title: 'type into the terminal of whoever started it',
    proves: ['G19'],
    profile: 'full',
    source: 'CVE-2017-5226',
    layers: { seccomp: everyRow },
    async run({ target }) {
      const { typed, said } = await tryTyping(target);
      return typed?.own === 'EIO' && typed.theirs === ''
        ? { notApplicable: 'this kernel lets nobody type into a terminal (dev.tty.legacy_tiocsti is 0)' }
        : { rows: [typedRow(typed, said), ownRow(typed)] };
    },
  },
};

interface Tried {
  readonly typed: Typed | undefined;
  /** by the way to the terminal; `undefined`: nothing was tried */
  readonly said: Readonly<Record<string, string>> | undefined;
}

async function tryTyping({ inside }: Target): Promise<Tried> {
  const [word, letters] = [randomBytes(12).toString('hex'), randomBytes(4).toString('hex')];
  let typed: Typed | undefined;
  const atTerminal: RunInside = async (command, options) => {
    const result = await inside(command, { ...options, terminal: word });
    typed = readTyped(result.out, word);
    return result;
  };
  const found = (await observe(atTerminal, [question], { [question]: told(letters) })).get(question);
  return { typed, said: found !== undefined && 'answer' in found ? textMap(found.answer) : undefined };
}

function typedRow(typed: Typed | undefined, said: Tried['said']): Row {
  const theirs = typed?.theirs ?? '';
  const ways = Object.entries(said ?? {}).map(([way, answer]) => `${way}: ${answer}`);
  return attack('type into it', {
    expected: 'nothing is typed',
    seen: theirs === '' ? `nothing (${ways.join(', ') || 'not tried'})` : `typed: ${theirs}`,
    ok: theirs === '' ? (said === undefined ? undefined : true) : false,
    from: 'outside',
  });
}

function ownRow(typed: Typed | undefined): Row {
  const seen = typed?.own ?? 'the command ended without a word of it';
  return control('type into it on this host', { expected: 'own', seen, ok: seen === 'own', from: 'outside' });
}
