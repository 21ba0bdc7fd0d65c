/** Probes that no mutant turns red, by the reason; every other probe has one. */
export const withoutMutant: Readonly<Record<string, string>> = {
  'around.names': 'needs a resolver of the host that the proof can listen to; names.every-record has one in the lab',
};
