import { inOwnHome } from '../../scripts/own-home.ts';
import { shellWords } from '../../src/proof/foreign/command-template.ts';
import type { Proof } from '../../src/proof/prove.ts';
import type { Mutant } from './mutant.ts';

/** Runs `prove` of a build in a home of its own, with the images of this machine. */
export interface ProveBuild {
  /** the program, as `buildMutant` gave it */
  readonly entry: string;
  /** ids of probes; empty: all */
  readonly probes: readonly string[];
  /** further options, e.g. `--runtime runsc` */
  readonly options?: readonly string[] | undefined;
  /** `command`: as a sandbox of somebody else's */
  readonly through?: Mutant['through'];
}

/** The proof, or why there is none. */
export type Proved = { readonly proof: Proof; readonly ms: number } | { readonly fault: string; readonly ms: number };

export async function proveBuild({ entry, probes, options = [], through }: ProveBuild): Promise<Proved> {
  const started = performance.now();
  const ms = (): number => Math.round(performance.now() - started);
  const only = probes.length === 0 ? [] : ['--only', probes.join(',')];
  const target = through === undefined ? options : ['--command', ownCommand(entry, options)];
  try {
    return await inOwnHome(entry, 20 * 60_000, async ({ call }) => {
      const { stdout, stderr } = await call(['prove', '--json', ...only, ...target]);
      return { ...readProof(stdout.toString('utf8'), stderr.toString('utf8')), ms: ms() };
    });
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error), ms: ms() };
  }
}

/** The program itself, as a command that makes a sandbox. */
function ownCommand(entry: string, options: readonly string[]): string {
  return `${shellWords([process.execPath, entry, 'run', ...options])} -- {}`;
}

function readProof(out: string, err: string): { readonly proof: Proof } | { readonly fault: string } {
  try {
    const value: unknown = JSON.parse(out);
    if (typeof value === 'object' && value !== null && 'findings' in value) {
      return { proof: value as Proof };
    }
  } catch {
    // told below
  }
  return { fault: `${out}\n${err}`.trim().slice(0, 600) };
}
