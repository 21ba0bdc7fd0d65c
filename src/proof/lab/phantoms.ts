import type { LabSandbox } from './lab.ts';
import { phantomVariable } from './lab-rules.ts';

/** The phantom of a key in a sandbox of the lab, as a process there finds it. Throws if the variable is not set. */
export async function phantomIn({ target }: LabSandbox, variable = phantomVariable): Promise<string> {
  const { out } = await target.inside(['perl', '-e', 'print $ENV{$ARGV[0]}', variable]);
  const phantom = out.toString('utf8');
  if (phantom === '') {
    throw new Error(`${variable} is not set in the sandbox "${target.name}"`);
  }
  return phantom;
}
