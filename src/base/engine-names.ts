/** Engines that a sandbox can be planned for. Where several would do equally well, the first is taken. */
export const engineNames = ['oci', 'podman', 'docker'] as const;

export type PlannedEngine = (typeof engineNames)[number];

export function isEngineName(text: string): text is PlannedEngine {
  return (engineNames as readonly string[]).includes(text);
}
