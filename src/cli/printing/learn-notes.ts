import { visible } from '../../base/text.ts';
import type { Learning } from '../../policy/proposing/learning.ts';
import type { JournalRequests } from '../../sandbox/requests/denied-requests.ts';

/** What learning from a run could not tell, one line each, safe to print. */
export interface LearnedFacts {
  readonly learn: Learning;
  readonly leftOut: readonly { readonly path: string; readonly why: string }[];
  /** exit code of the program */
  readonly code: number;
}

const named = 8;

export function learnNotes(asked: JournalRequests, { learn, leftOut, code }: LearnedFacts): readonly string[] {
  const { requests, onlyCounted, silent } = asked;
  const writes = requests.filter(({ method }) => method !== undefined && method !== 'GET' && method !== 'HEAD').length;
  return [
    ...(requests.length === 0 && silent.length === 0 ? ['it asked for nothing'] : []),
    ...(code === 0 ? [] : [`the program ended with ${code}: what it would have asked for after that is not known`]),
    ...(writes === 0 || learn.mode === 'writes'
      ? []
      : [
          `${writes === 1 ? '1 request that writes was' : `${writes} different requests that write were`} answered with 202 and no content: what depends on their answers is not known`,
        ]),
    ...silent.map(
      ({ host, port }) =>
        `${host}:${port} was connected to and nothing asked: a program that does not trust the sandbox's authority, or one that went away`,
    ),
    ...(onlyCounted === 0 ? [] : [`${onlyCounted} requests came too fast: their paths are not on record`]),
    ...leftOut.slice(0, named).map(({ path, why }) => `not in the copy: ${visible(path)} (${why})`),
    ...(leftOut.length > named ? [`not in the copy: ${leftOut.length - named} more`] : []),
    'ports beside the usual ones, and addresses without a name, are not seen',
  ];
}
