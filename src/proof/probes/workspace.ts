import type { ProbeTable } from '../probe.ts';
import { leftFileProbes } from './left-files.ts';
import { protectedNameProbes } from './protected-names.ts';
import { specificationProbes } from './specification.ts';

/** What a sandbox does to this host through what it runs from, through files and names, and through what is shown of it. */
export const workspaceProbes: ProbeTable = {
  ...specificationProbes,
  ...leftFileProbes,
  ...protectedNameProbes,
};
