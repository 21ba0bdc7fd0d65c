/** The engines that a sandbox can be planned for, in order of preference. */
export const engineNames = ['oci', 'podman', 'docker'] as const;

export type PlannedEngine = (typeof engineNames)[number];

export function isEngineName(text: string): text is PlannedEngine {
  return (engineNames as readonly string[]).includes(text);
}
