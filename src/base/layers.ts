/**
 * The protection layers that a host can offer, by name. A start on a host that lacks one is refused unless a person waived that
 * layer by name; the journal records the waiver. `doctor` prints this table with the host's answers.
 */
export const layers = {
  'user-namespace': 'ids inside are mapped: no root inside is root outside',
  'idmapped-mounts': "started by root, files stay the owner's through mapped mounts (Linux 5.12)",
  seccomp: 'system calls by allowlist',
  'memory-limit': 'memory is limited by a cgroup',
  'cpu-limit': 'processor time is limited by a cgroup',
  'pids-limit': 'the number of processes is limited',
  'disk-limit': 'the size of the home folder is limited',
  'runtime-floor': 'the container runtime is not older than the known-good floor',
} as const satisfies Record<string, string>;

export type LayerName = keyof typeof layers;

export function isLayerName(text: string): text is LayerName {
  return Object.hasOwn(layers, text);
}
