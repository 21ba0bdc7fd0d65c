import { attack, type Row } from '../finding.ts';
import { namespaceOf, readStatus, type Status } from '../host-view.ts';
import type { Target } from '../target.ts';
import { hostProcesses, type HostProcess } from './gvisor-processes.ts';

/** A process's privileges from its status in proc(5): inside as it reads its own, outside as this host sees it. */

const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] as const;

export function privilegeRows(status: Status, from: Row['from']): readonly Row[] {
  const where = from === 'outside' ? `process ${status['Pid'] ?? ''} ` : '';
  return [
    ...sets.map((set) => {
      const seen = status[set] ?? 'none';
      return attack(`${where}${set}`, { expected: 'empty', seen, ok: /^0+$/.test(seen), from });
    }),
    ...confinedRows(status, { where, from }),
  ];
}

interface Words {
  readonly where: string;
  readonly from: Row['from'];
}

function confinedRows(status: Status, { where, from }: Words): readonly Row[] {
  const uids = (status['Uid'] ?? '').split(/\s+/);
  const row = (what: string, facts: { expected: string; seen: string; ok: boolean }): Row => attack(what, { ...facts, from });
  return [
    row(`${where}no new privileges`, { expected: '1', seen: status['NoNewPrivs'] ?? 'none', ok: status['NoNewPrivs'] === '1' }),
    row(`${where}seccomp mode`, { expected: '2', seen: status['Seccomp'] ?? 'none', ok: status['Seccomp'] === '2' }),
    row(`${where}user ids`, { expected: 'none is 0', seen: uids.join(' '), ok: uids[0] !== '' && !uids.includes('0') }),
  ];
}

/** Of every process that this host has for a sandbox; gVisor's own need rights in the sandbox's user namespace. */
export async function hostPrivilegeRows(target: Target): Promise<readonly Row[]> {
  const statuses = await readStatus(target);
  const roles = new Map(
    target.plan?.runtime === 'runsc' ? (await hostProcesses(target)).map(({ pid, role }) => [pid, role]) : [],
  );
  const own = await namespaceOf('self', 'user');
  const rows = await Promise.all(
    statuses.map(async (status) => {
      const pid = Number(status['Pid']);
      const role = roles.get(pid);
      return isGvisors(role)
        ? gvisorRows(status, role, { own, space: await namespaceOf(pid, 'user') })
        : privilegeRows(status, 'outside');
    }),
  );
  return rows.flat();
}

type GvisorRole = 'kernel' | 'files' | 'memory';

function isGvisors(role: HostProcess['role'] | undefined): role is GvisorRole {
  return role === 'kernel' || role === 'files' || role === 'memory';
}

/** By number in capabilities(7). */
const fileCapabilities = [0, 1, 2, 3, 4, 18]; // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SYS_CHROOT
const traceCapabilities = [19]; // SYS_PTRACE: over processes of the same namespace
const networkCapabilities = [10, 12]; // NET_BIND_SERVICE, NET_ADMIN: over the sandbox's network, for releases that ask for them
const allowed: Readonly<Record<GvisorRole, readonly number[]>> = {
  kernel: [...traceCapabilities, ...networkCapabilities],
  files: fileCapabilities,
  memory: [...traceCapabilities, ...networkCapabilities],
};

interface Spaces {
  /** user namespaces, of this process and of that one */
  readonly own: string;
  readonly space: string;
}

/** Its rights are over a namespace that holds this sandbox alone; what it has beyond its work is as bad as any capability. */
export function gvisorRows(status: Status, role: GvisorRole, { own, space }: Spaces): readonly Row[] {
  const where = `gVisor's process ${status['Pid'] ?? ''} (${role}) `;
  const row = (what: string, expected: string, facts: { seen: string; ok: boolean | undefined }): Row =>
    attack(`${where}${what}`, { expected, from: 'outside', ...facts });
  const bits = (set: string): bigint => BigInt(`0x${status[set] ?? 'f'.repeat(16)}`);
  const most = allowed[role].reduce((mask, number) => mask | (1n << BigInt(number)), 0n);
  return [
    ...sets.map((set) =>
      row(set, `at most ${most.toString(16)}`, { seen: status[set] ?? 'none', ok: (bits(set) & ~most) === 0n }),
    ),
    row('user namespace', 'another than the host', {
      seen: space === '' ? 'it cannot be read' : space === own ? 'that of this host' : space,
      ok: space === '' ? undefined : space !== own,
    }),
    ...confinedRows(status, { where, from: 'outside' }),
  ];
}
