import { fieldsOf, rowsOf, textOf } from './read-json.ts';

/** Docker says so of every container where its host routes no packets between networks (moby, `daemon/daemon_unix.go`). */
const nothingIsRouted = 'IPv4 forwarding is disabled. Networking will not work.';

/**
 * What an engine says of a container that it made otherwise than asked: the `Warnings` of its answer. Whoever asks refuses the
 * container for any of them, so what it could not use anyhow is not among them: packets of one without a network of the
 * engine's are not routed.
 */
export function leftOut(
  answer: unknown,
  { HostConfig }: { readonly HostConfig: Readonly<Record<string, unknown>> },
): readonly string[] {
  const warnings = rowsOf(fieldsOf(answer)['Warnings']).map(textOf);
  return hasNoNetwork(textOf(HostConfig['NetworkMode'])) ? warnings.filter((text) => text !== nothingIsRouted) : warnings;
}

/** None at all, or that of another container, which has none of the engine's either. */
function hasNoNetwork(mode: string): boolean {
  return mode === 'none' || mode.startsWith('container:');
}
