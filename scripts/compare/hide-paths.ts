/** Findings without what is this machine's business alone: folders of the run and addresses of the host. */
import type { Finding } from '../../src/proof/finding.ts';
import type { Watch } from '../../src/proof/watch/watch.ts';
import type { Stage } from './stage.ts';

/** Of a watch and a stage, what is not to be kept. */
interface Private {
  readonly folders: Watch['folders'];
  readonly canaries: Pick<Watch['canaries'], 'nonce'>;
  readonly sink: { readonly addresses: readonly Pick<Watch['sink']['addresses'][number], 'address'>[] };
}
interface Caller {
  readonly user: Pick<NonNullable<Stage['user']>, 'home'> | undefined;
}

export function hidePaths(findings: readonly Finding[], watch: Private, { user }: Caller): readonly Finding[] {
  const addresses = watch.sink.addresses.map(({ address }) => address).filter((address) => !/^(?:127\.|::1$)/.test(address));
  const hidden: readonly (readonly [string, string])[] = [
    [watch.folders.work, '/home/person/project'],
    [watch.folders.home, '/home/person'],
    ...(user === undefined ? [] : [[user.home, '/home/user'] as const]),
    ...addresses.map((address, index) => [address, `host address ${index + 1}`] as const),
    [watch.canaries.nonce, 'NONCE'],
  ];
  const text = (value: string): string => hidden.reduce((whole, [secret, name]) => whole.replaceAll(secret, name), value);
  return findings.map(({ why, rows, ...finding }) => ({
    ...finding,
    ...(why === undefined ? {} : { why: text(why) }),
    rows: rows.map((row) => ({ ...row, what: text(row.what), expected: text(row.expected), seen: text(row.seen) })),
  }));
}
