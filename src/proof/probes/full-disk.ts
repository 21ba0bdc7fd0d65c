import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { control, type Row } from '../finding.ts';
import { hosts, rawPort } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { arrivalText, settle, watch } from '../oracle.ts';
import { withoutRoom } from '../outside/full-disk.ts';
import type { ProbeTable } from '../probe.ts';
import type { Inside } from '../target.ts';
import { refusedRow } from '../refused.ts';

/** A host whose disk is full (G16): what cannot be recorded is not done, and what is missing is named. */

const nonce = (): string => randomBytes(6).toString('hex');
const patience = { quietMs: 1500 } as const;

/** One of each kind: judged, passed through, in clear, bytes. */
async function useNetwork(sandbox: LabSandbox): Promise<void> {
  const caller = callerIn(sandbox);
  const ask = (host: string): string => requestText({ host, target: `/v1/echo?${nonce()}` });
  await Promise.all([
    caller.secure({ host: hosts.opened }, [ask(hosts.opened)], patience),
    caller.secure({ host: hosts.allowed }, [ask(hosts.allowed)], patience),
    caller.plain({ host: hosts.allowed }, [ask(hosts.allowed)], patience),
    caller.plain({ host: hosts.raw, port: rawPort }, [nonce()], patience),
  ]);
  await settle();
}

const kinds = ['tls', 'plain', 'raw'] as const;

function usedRow(when: string, seen: readonly { readonly server: string }[]): Row {
  const missing = kinds.filter((kind) => !seen.some(({ server }) => server === kind));
  return control(`${when}: requests, bytes and TLS`, {
    expected: 'arrive at every server',
    seen: missing.length === 0 ? 'arrive at every server' : `nothing at ${missing.join(', ')}`,
    ok: missing.length === 0,
    from: 'outside',
  });
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Makes a file in the workspace. */
function touch(sandbox: LabSandbox, name: string): Promise<Inside> {
  return sandbox.target.inside(['perl', '-e', 'open my $file, ">", $ARGV[0] or exit 3', `/workspace/${name}`]);
}

async function fillDisk(lab: Lab): Promise<readonly Row[]> {
  const { twin } = lab;
  const later = await lab.make('later', { start: false });
  const [first, during, last] = [`.ran-${nonce()}`, `.ran-${nonce()}`, `.ran-${nonce()}`];
  const before = watch(lab.world);
  await useNetwork(twin);
  await touch(twin, first);
  const rows = [usedRow('before', before.arrived())];
  const words = /journal|disk|no space|too large|cannot be written/i;
  await withoutRoom(await lab.daemon.pid(), lab.env, async () => {
    const oracle = watch(lab.world);
    await useNetwork(twin);
    rows.push(none('what leaves while nothing can be recorded', oracle.arrived().map(arrivalText)));
    rows.push(refusedRow('run a command while nothing can be recorded', await touch(twin, during), words));
    rows.push(refusedRow('start a sandbox while nothing can be recorded', await lab.casemate(['start', later.name]), words));
    rows.push(
      refusedRow(
        'make a sandbox while nothing can be recorded',
        await lab.casemate(['create', 'never', '--workspace', later.workspace]),
        words,
      ),
    );
  });
  const listed = (await lab.casemate(['ls', '--json'])).out.toString('utf8');
  const again = await eventually(async () => {
    const oracle = watch(lab.world);
    await useNetwork(twin);
    return oracle.arrived().length > 0 ? oracle : undefined;
  });
  await touch(twin, last);
  const verified = await lab.casemate(['journal', 'verify']);
  const made = await Promise.all([first, during, last].map((name) => isThere(join(twin.workspace, name))));
  await twin.target.inside(['rm', '-f', ...[first, during, last].map((name) => `/workspace/${name}`)]);
  const started = await lab.casemate(['start', later.name]);
  await lab.casemate(['destroy', later.name, '--confirm', later.name]);
  return [
    ...rows,
    none('commands that ran without a record', made[1] === true ? [during] : []),
    none('sandboxes that were made without a record', listed.includes('"never"') ? ['never'] : []),
    usedRow('with room again', again?.arrived() ?? []),
    control('commands before and with room again', {
      expected: 'both ran',
      seen: made[0] === true && made[2] === true ? 'both ran' : 'not both ran',
      ok: made[0] === true && made[2] === true,
      from: 'outside',
    }),
    control('start the same sandbox with room again', {
      expected: '0',
      seen: String(started.code),
      ok: started.code === 0,
      from: 'outside',
    }),
    control('the journal with room again', {
      expected: 'valid',
      seen: verified.code === 0 ? 'valid' : verified.out.toString('utf8').slice(0, 200),
      ok: verified.code === 0,
      from: 'outside',
    }),
  ];
}

export const fullDiskProbes: ProbeTable = {
  'faults.full-disk': {
    where: 'lab',
    title: 'send, start and run while the host has no room to record it',
    proves: ['G16', 'G17'],
    profile: 'full',
    source: 'CWE-778; auditd disk_full_action',
    run: async (lab) => ({ rows: await fillDisk(lab) }),
  },
};
