import type { LayerName } from '../base/layers.ts';
import type { Plan } from '../sandbox/plan/plan.ts';
import type { Row } from './finding.ts';

/**
 * What an engine cannot offer and says so, as data: the rows of a probe in which it differs, and why. A differing row that is
 * not listed breaks its guarantee, and so does a loss that a person must accept by name and has not. Pure.
 */
interface Difference {
  /** of a row */
  readonly what: string;
  readonly why: string;
  /** what may be seen in its place; default: anything */
  readonly seen?: RegExp;
  readonly waiver?: LayerName;
  /** only where an ordinary user asks, whose own the sandbox's processes are */
  readonly isOfUser?: true;
}

const hostIds = { why: "containers have the host's ids", waiver: 'user-namespace' } as const;
/** Of these the kernel gives each user of the host so many, and all sandboxes of one owner are one user. */
const countedByUser = ['inotify instances', 'message queues', 'MiB of locked shared memory', 'timers'];
const userCounted = 'without a user namespace it is counted for the user on the whole host; the group bounds processes';

const ofContainers: readonly Difference[] = [
  { what: 'user namespace', ...hostIds },
  { what: 'ranges of ids that hold 0 of the host', ...hostIds },
  { what: 'ids that are mapped', ...hostIds },
  { what: 'RLIMIT_NPROC of a command', why: userCounted },
  { what: 'Max processes', why: userCounted },
  ...countedByUser.map((pool): Difference => ({
    what: `one for another sandbox (${pool})`,
    why: 'without a user namespace it is counted for the user on the whole host, whose other sandboxes may have none left',
    seen: /^E(?:MFILE|NOMEM|AGAIN|NOSPC)$/,
    waiver: 'user-namespace',
  })),
  {
    what: 'file systems in memory without a limit',
    why: "the engine's own: read-only, or closed to the agent",
    seen: /^\/(?:dev|sys(?:\/[\w/]+)?)(?:, \/(?:dev|sys(?:\/[\w/]+)?))*$/,
  },
];

const engineDifferences: Readonly<Record<Plan['engine'], readonly Difference[]>> = {
  oci: [],
  docker: [
    ...ofContainers,
    {
      what: 'one for the host (inotify instances)',
      why: 'an ordinary user in the group docker and his sandboxes are one user, and have one pool',
      seen: /^none$/,
      waiver: 'user-namespace',
      isOfUser: true,
    },
  ],
  podman: [
    ...ofContainers,
    {
      what: 'ids that are mapped',
      why: 'an ordinary user has all of 65536 subordinate ids inside, and is the agent beside them',
      seen: /^65537$/,
    },
  ],
};

/** The rows, in which a declared difference is as expected and says so. */
export function withDeclared(rows: readonly Row[], { engine, waive }: Plan, uid = process.getuid?.() ?? 0): readonly Row[] {
  const isAccepted = (row: Row, { what, seen, waiver, isOfUser }: Difference): boolean =>
    what === row.what &&
    (isOfUser !== true || uid !== 0) &&
    (waiver === undefined || waive.includes(waiver)) &&
    seen?.test(row.seen) !== false;
  return rows.map((row) => {
    const found = row.ok === false ? engineDifferences[engine].find((one) => isAccepted(row, one)) : undefined;
    return found === undefined
      ? row
      : { ...row, ok: true, expected: `${row.expected}, or as declared of ${engine}: ${found.why}` };
  });
}
