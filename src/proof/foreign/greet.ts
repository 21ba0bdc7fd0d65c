import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { namespaceOf } from '../host-view.ts';
import { observe } from '../inside/observe.ts';
import type { Inside, Target } from '../target.ts';
import { textMap } from '../read-answer.ts';

/**
 * The first contact with someone else's sandbox: whether programs run inside at all, whether there is perl to ask with, and that
 * it is not this host itself as root, where nothing may be tried.
 */
export interface Greeting {
  /** why no question can be put, `undefined` where they can */
  readonly mute: string | undefined;
}

export async function greet(target: Target): Promise<Greeting> {
  const answers = await observe(target.inside, ['who']);
  const who = answers.get('who');
  if (who !== undefined && 'answer' in who) {
    await refuseHost(textMap(who.answer));
    return { mute: undefined };
  }
  // Counted inside: a command that only prints what it is given does not say this.
  const echoed = await target.inside(['sh', '-c', 'echo casemate-$((40+2))']);
  if (echoed.out.toString('utf8').includes('casemate-42')) {
    return { mute: 'there is no perl inside, which the questions need' };
  }
  throw new CasemateError('ENGINE_FAILED', `nothing that was to run in ${target.name} answered: ${lastWords(echoed)}`, {
    hint: 'Try the command with a program of yours in the place of {}; standard output must arrive as it is.',
  });
}

function lastWords({ code, err, out }: Inside): string {
  const line = [err, out].map((text) => text.toString('utf8').trim().split('\n').at(-1) ?? '').find((text) => text !== '');
  return `it ended with ${code}${line === undefined ? ', without a word' : `: ${visible(line.slice(0, 300))}`}`;
}

/** By its namespaces: a command that keeps all of ours is no sandbox, and root there is root here. */
async function refuseHost(who: Readonly<Record<string, string>>): Promise<void> {
  const kinds = ['user', 'mnt', 'net', 'pid'];
  const own = await Promise.all(kinds.map((kind) => namespaceOf('self', kind)));
  if (who['uid'] === '0' && kinds.every((kind, index) => who[kind] === own[index])) {
    throw new CasemateError(
      'USAGE',
      'this command runs what it is given on this host itself, as root: nothing is attacked there',
      {
        hint: 'Name a command that starts a sandbox, or run as an ordinary user.',
      },
    );
  }
}
