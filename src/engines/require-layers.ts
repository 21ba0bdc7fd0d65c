import { CasemateError } from '../base/errors.ts';
import type { LayerReport, SandboxSpec } from './engine.ts';

/** Refuses a start on a host that lacks a layer, unless a person accepted that by its name. */
function requireLayers(reports: readonly LayerReport[], { waived }: SandboxSpec): void {
  const absent = reports.find(({ missingTool }) => missingTool !== undefined);
  if (absent !== undefined) {
    throw new CasemateError('TOOL_MISSING', absent.detail, { hint: 'casemate doctor shows all that is missing.' });
  }
  const lacking = reports.filter(({ layer, available }) => !available && !waived.includes(layer));
  if (lacking.length > 0) {
    throw new CasemateError('LAYER_MISSING', lacking.map(({ layer, detail }) => `${layer}: ${detail}`).join('; '), {
      hint: `Fix the host, or accept the loss by name: ${lacking.map(({ layer }) => `--waive ${layer}`).join(' ')} (or under \`waive\` in your own policy).`,
    });
  }
}

/**
 * The same with what is known of the host. What an earlier look found missing may have been missing at that moment alone: it
 * is looked for once more before a refusal.
 */
export async function requireHost(
  known: readonly LayerReport[],
  spec: SandboxSpec,
  again: () => Promise<readonly LayerReport[]>,
): Promise<void> {
  const lacks = known.some(({ layer, available }) => !available && !spec.waived.includes(layer));
  requireLayers(lacks ? await again() : known, spec);
}
