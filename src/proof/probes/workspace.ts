import type { ProbeTable } from '../probe.ts';
import { leftFileProbes } from './left-files.ts';
import { protectedNameProbes } from './protected-names.ts';
import { specificationProbes } from './specification.ts';

/** What a sandbox can do to this host through its configuration, through files and names, and through what is shown of it. */
export const workspaceProbes: ProbeTable = {
  ...specificationProbes,
  ...leftFileProbes,
  ...protectedNameProbes,
};
