import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';

import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none, same } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import { rotatingCredential, rotatingVariable } from '../lab/lab-rules.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { phantomIn } from '../lab/phantoms.ts';
import type { Arrival } from '../lab/world.ts';
import { settle, watch } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** Keys that a person changes or revokes (G13): from that moment on the old one goes nowhere. */

const nonce = (): string => randomBytes(6).toString('hex');
const { rotating } = hosts;
const atOnce = 12;

interface Call {
  readonly mark: string;
  readonly text: string;
}

async function call(sandbox: LabSandbox, phantom: string, mark = nonce()): Promise<Call> {
  const lines = [`Authorization: Bearer ${phantom}`];
  const bytes = requestText({ host: rotating, target: `/${mark}`, lines });
  const { text } = await callerIn(sandbox).secure({ host: rotating }, [bytes], { quietMs: 3000 });
  return { mark, text };
}

/** A person writes another value where the key is read from. */
async function write({ canaries, casemate }: Lab, value: string): Promise<number> {
  await writeFile(`${canaries.rotatingFile}.new`, value, { mode: 0o600 });
  await rename(`${canaries.rotatingFile}.new`, canaries.rotatingFile);
  const { code } = await casemate(['credentials', 'rotate', rotatingCredential]);
  return code;
}

function withValue(found: readonly Arrival[], value: string): readonly Arrival[] {
  return found.filter(({ headers }) => headers?.some(([name, text]) => name === 'authorization' && text === `Bearer ${value}`));
}

function arrivedRow(what: string, found: readonly Arrival[], wanted = 1): Row {
  return control(what, {
    expected: `${wanted} arrive`,
    seen: `${found.length} arrive`,
    ok: found.length === wanted,
    from: 'outside',
  });
}

async function rotate(lab: Lab): Promise<readonly Row[]> {
  const { rotating: old } = lab.canaries;
  const fresh = `cmcanary${randomBytes(24).toString('hex')}`;
  const phantom = await phantomIn(lab.twin, rotatingVariable);
  const oracle = watch(lab.world);
  const before = await call(lab.twin, phantom);
  const during = Array.from({ length: atOnce }, () => call(lab.twin, phantom));
  const code = await write(lab, fresh);
  // A request that had left before may still be on its way.
  const changedMs = Date.now() + 100;
  const after = await Promise.all(Array.from({ length: atOnce }, () => call(lab.twin, phantom)));
  await Promise.all(during);
  await settle();
  const stands = await phantomIn(lab.twin, rotatingVariable);
  await write(lab, old);
  const again = await call(lab.twin, phantom);
  await settle();
  const marked = (calls: readonly Call[]) => calls.flatMap(({ mark }) => oracle.with(mark));
  const late = oracle.requests().filter(({ at, url = '' }) => at > changedMs || after.some(({ mark }) => url === `/${mark}`));
  return [
    same('exit code of the change', 0, code),
    none(
      'requests that arrive with the old key after the change',
      withValue(
        late.filter(({ url }) => url !== `/${again.mark}`),
        old,
      ).map(({ url = '' }) => url),
    ),
    same('what stands for the key inside is as it was', true, phantom === stands, 'inside'),
    arrivedRow('requests with the old key before', withValue(oracle.with(before.mark), old)),
    arrivedRow('requests with the new key after', withValue(marked(after), fresh), atOnce),
    arrivedRow('with the old key again when it is put back', withValue(oracle.with(again.mark), old)),
  ];
}

/** A request whose answer never ends, as of a model that is still talking. */
async function openStream(lab: Lab, phantom: string) {
  const mark = nonce();
  const { promise, resolve } = Promise.withResolvers<{ readonly status: number }>();
  lab.world.respond(({ url = '' }) => (url === `/${mark}` ? promise : { status: 200 }));
  const answer = call(lab.twin, phantom, mark);
  const oracle = watch(lab.world);
  await eventually(async () => (oracle.with(mark).length > 0 ? true : undefined), 3000);
  return {
    mark,
    answer,
    end: () => {
      lab.world.respond(undefined);
      resolve({ status: 200 });
    },
  };
}

async function revoke(lab: Lab): Promise<readonly Row[]> {
  const { twin, casemate } = lab;
  const peer = await lab.peer();
  const [own, others] = await Promise.all([twin, peer].map((sandbox) => phantomIn(sandbox, rotatingVariable)));
  const before = watch(lab.world);
  const legal = await call(twin, own ?? '');
  const open = await openStream(lab, own ?? '');
  const revoked = await casemate(['credentials', 'revoke', rotatingCredential]);
  // What was not cut is answered now.
  open.end();
  const cut = await open.answer;
  const after = watch(lab.world);
  const tries = await Promise.all([call(twin, own ?? ''), call(peer, others ?? ''), call(twin, own ?? '')]);
  await settle();
  const arrived = after.requests().filter(({ url = '' }) => tries.some(({ mark }) => url.includes(mark)));
  await casemate(['credentials', 'restore', rotatingCredential]);
  const one = watch(lab.world);
  await casemate(['credentials', 'revoke', rotatingCredential, '--sandbox', peer.name]);
  const [mine, theirs] = await Promise.all([call(twin, own ?? ''), call(peer, others ?? '')]);
  await casemate(['credentials', 'restore', rotatingCredential, '--sandbox', peer.name]);
  const restored = await call(peer, others ?? '');
  await settle();
  const { rotating: key } = lab.canaries;
  return [
    same('exit code of the revocation', 0, revoked.code),
    attack('a request that was open when the key was revoked', {
      expected: 'cut',
      seen: cut.text.includes(' 200 ') ? 'answered' : 'cut',
      ok: !cut.text.includes(' 200 '),
    }),
    none(
      'requests that arrive after the revocation',
      arrived.map(({ url = '' }) => url),
    ),
    none(
      'requests of a sandbox from which alone it was taken',
      one.with(theirs.mark).map(({ url = '' }) => url),
    ),
    arrivedRow('a request before the revocation', withValue(before.with(legal.mark), key)),
    arrivedRow('the open request, before it was cut', withValue(before.with(open.mark), key)),
    arrivedRow('a request of the sandbox that kept it', withValue(one.with(mine.mark), key)),
    arrivedRow('a request of the other one when it was given back', withValue(one.with(restored.mark), key)),
  ];
}

export const keyChangeProbes: ProbeTable = {
  'keys.rotated': {
    where: 'lab',
    title: 'use an old key after a person has changed it, with requests under way meanwhile',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-613; OpenShell, replaced keys',
    run: async (lab) => ({ rows: await rotate(lab) }),
  },
  'keys.revoked': {
    where: 'lab',
    title: 'use a key after a person has taken it away, everywhere or from one sandbox, also in a request that is open',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-613',
    run: async (lab) => ({ rows: await revoke(lab) }),
  },
};
