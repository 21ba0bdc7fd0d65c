import { randomBytes } from 'node:crypto';

import { signedAddress, type SignedAddress } from '../attacks/signed-addresses.ts';
import { shows } from '../attacks/text-forms.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none } from '../compare.ts';
import { hosts, signedRegion } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { phantomIn } from '../lab/phantoms.ts';
import type { Arrival } from '../lab/world.ts';
import { seenRow, settle, unseenRow, watch } from '../oracle.ts';
import type { Row } from '../finding.ts';
import type { ProbeTable } from '../probe.ts';

/** What the AWS keys sign (G13, G14): only what this sandbox signed itself, now, for this host, and the rules allowed. */

const nonce = (): string => randomBytes(6).toString('hex');
const minuteMs = 60_000;

interface Attempt {
  readonly what: string;
  readonly mark: string;
  readonly host: string;
  readonly bytes: string;
}

interface Try extends Partial<SignedAddress> {
  readonly host?: string;
  readonly method?: string;
  readonly lines?: readonly string[];
  /** behind the address */
  readonly more?: string;
}

async function keysOf(sandbox: LabSandbox) {
  const [id, token] = await Promise.all(['AWS_ACCESS_KEY_ID', 'AWS_SESSION_TOKEN'].map((name) => phantomIn(sandbox, name)));
  return { id: id ?? '', token: token ?? '' };
}

type Phantoms = Awaited<ReturnType<typeof keysOf>>;

function tries(own: Phantoms, other: Phantoms): Readonly<Record<string, Try>> {
  const strange = { id: 'AKIAIOSFODNN7EXAMPLE', token: `own${nonce()}` };
  const header = `AWS4-HMAC-SHA256 Credential=${own.id}/20261121/${signedRegion}/s3/aws4_request, SignedHeaders=host, Signature=${'0'.repeat(64)}`;
  return {
    "with keys of the caller's own": { ...strange },
    "with a key of the caller's own and nothing else": { id: strange.id, token: undefined },
    "with a token of the caller's own": { token: strange.token },
    "with another sandbox's keys": other,
    "with another sandbox's token": { token: other.token },
    'an hour ago, for a minute': { atMs: Date.now() - 60 * minuteMs, seconds: 60 },
    'an hour from now': { atMs: Date.now() + 60 * minuteMs },
    'for longer than AWS lets it': { seconds: 900_000 },
    'for another region': { region: 'eu-west-1' },
    'for another service': { service: 'sts' },
    'with a header that is not there': { headers: 'content-type;host' },
    'in its header, too': { lines: [`Authorization: ${header}`] },
    'and once more': { more: '&X-Amz-Expires=300' },
    'for a method that no rule names': { method: 'DELETE' },
    'for a path that no rule names': { path: '/other/' },
    'for a host without a credential': { host: hosts.judged },
  };
}

async function misuse(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const [own, other] = await Promise.all([keysOf(lab.twin), lab.peer().then(keysOf)]);
  const signature = randomBytes(32).toString('hex');
  const attemptOf = (what: string, { host = hosts.signed, method = 'GET', lines, more = '', ...asked }: Try): Attempt => {
    const mark = nonce();
    const address = { path: '/held/', region: signedRegion, atMs: Date.now(), signature, ...own, ...asked };
    const target = `${signedAddress({ ...address, path: `${address.path}${mark}` })}${more}`;
    return { what, mark, host, bytes: requestText({ host, method, target, lines }) };
  };
  const attempts = Object.entries(tries(own, other)).map(([what, asked]) => attemptOf(what, asked));
  const right = attemptOf('as it is meant', {});
  await Promise.all(attempts.map(({ host, bytes }) => caller.secure({ host }, [bytes], { quietMs: 1500 })));
  const heard = await caller.secure({ host: right.host }, [right.bytes]);
  await settle();
  const arrived = oracle.with(right.mark);
  return [
    ...attempts.map(({ what, mark }) => unseenRow(`an address that was signed ${what}`, oracle.with(mark))),
    none('parts of the signature inside, in what arrives', shownIn(arrived, { signature, id: own.id, token: own.token })),
    none('keys in what arrives, beside the place of the token', shownIn(arrived.map(withoutToken), lab.canaries.signing)),
    none('keys in the answer, as it comes back', shownInText(heard.text, lab.canaries.signing)),
    seenRow(
      'an address that was signed as it is meant, with the real keys',
      arrived.filter((one) => isSigned(one, lab)),
    ),
  ];
}

/** The id of a key is no secret: AWS itself shows it in every request. */
function shownIn(arrived: readonly Arrival[], held: Readonly<Record<string, string>>): readonly string[] {
  return shownInText(JSON.stringify(arrived), held);
}

function shownInText(text: string, held: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(held)
    .filter(([, value]) => shows(text, value))
    .map(([name]) => name);
}

const tokenHeader = 'x-amz-security-token';

function withoutToken(arrival: Arrival): Arrival {
  return { ...arrival, headers: arrival.headers?.filter(([name]) => name !== tokenHeader) };
}

function isSigned({ headers = [], url = '' }: Arrival, { canaries }: Lab): boolean {
  const valueOf = (wanted: string): string => headers.find(([name]) => name === wanted)?.[1] ?? '';
  return (
    valueOf('authorization').startsWith(`AWS4-HMAC-SHA256 Credential=${canaries.signingId}/`) &&
    valueOf(tokenHeader) === canaries.signing.token &&
    !url.includes('?')
  );
}

export const keySignatureProbes: ProbeTable = {
  'keys.signed-address': {
    where: 'lab',
    title:
      "have the keys of AWS sign an address that is not this sandbox's own, not good now, of another host, or not in the rules",
    proves: ['G13', 'G14'],
    profile: 'full',
    source: 'CWE-347, CWE-294; AWS Signature Version 4 in the query',
    run: async (lab) => ({ rows: await misuse(lab) }),
  },
};
