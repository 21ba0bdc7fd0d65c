import type { OptionRow } from '../command.ts';

/** Options that many commands have. */
export const json: OptionRow = { name: 'json', about: 'print JSON instead of text' };

export const queue: OptionRow = {
  name: 'queue',
  value: 'TIME',
  about: 'if the limit of running sandboxes is reached, wait in line up to this long, at most 1h',
};

export const policyFile: OptionRow = {
  name: 'policy',
  value: 'FILE',
  about: 'project policy to use instead of the casemate.yaml in this folder or above',
};
/** What `run`, `create` and `plan` share; `make-request.ts` reads it. */
export const makeOptions: readonly OptionRow[] = [
  policyFile,
  { name: 'name', value: 'NAME', about: 'name of the sandbox (default: made from the folder)' },
  { name: 'engine', value: 'oci|docker|podman|auto', about: 'what runs the sandbox' },
  { name: 'runtime', value: 'runc|crun|runsc', about: 'container runtime' },
  { name: 'agent', value: 'AGENT', about: 'agent to use: claude, codex; none: commands only' },
  { name: 'image', value: 'RECIPE', about: "image recipe (default: the agent's, else base)" },
  { name: 'workspace', value: 'PATH', about: "folder to work in (default: the policy's, else here)" },
  { name: 'readonly', about: 'the sandbox may read the workspace but not write it' },
  { name: 'skip-permissions', about: 'the agent does not ask before it acts; recorded in the journal' },
  {
    name: 'waive',
    value: 'LAYER',
    repeats: true,
    about: 'accept that this host lacks a protection layer; recorded in the journal',
  },
  { name: 'trust', about: 'approve what the project policy asks for, for its present content' },
];
