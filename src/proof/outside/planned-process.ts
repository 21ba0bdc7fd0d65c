import type { OciProcess } from '../../engines/oci/bundle.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { control, type Row } from '../finding.ts';

/** The part of a specification that is the same for every runtime: its form, its processes and their environment. */

export function versionRow({ ociVersion }: { readonly ociVersion: string }): Row {
  return control('read the specification', {
    expected: 'version 1.0.2',
    seen: `version ${ociVersion}`,
    ok: ociVersion === '1.0.2',
    from: 'outside',
  });
}

/** What the environment has beside the plan's: stand-ins of its credentials, and nothing else but the sandbox's own name. */
export function environmentOf(all: Readonly<Record<string, string>>, { env, credentials }: Plan) {
  const named = new Set(credentials.flatMap((credential) => credential.variables.map(({ name }) => name)));
  const more = Object.entries(all).filter(([name, value]) => env[name] !== value && name !== 'CASEMATE_SANDBOX');
  return {
    variables: Object.fromEntries(more.filter(([name]) => named.has(name))),
    others: more.map(([name]) => name).filter((name) => !named.has(name)),
  };
}

/** Of the first process, and of every command after it. */
export function processFaults(process: Omit<OciProcess, 'oomScoreAdj'> & Partial<OciProcess>): readonly string[] {
  const rules: Readonly<Record<string, boolean>> = {
    'members of a process beside the known ones': unknownKeys(process, [
      'terminal',
      'consoleSize',
      'user',
      'args',
      'env',
      'cwd',
      'capabilities',
      'noNewPrivileges',
      'oomScoreAdj',
      'rlimits',
    ]),
    capabilities: Object.values(process.capabilities).flat().length > 0 || Object.keys(process.capabilities).length !== 5,
    'no-new-privileges is off': !process.noNewPrivileges,
    'user 0': process.user.uid === 0 || process.user.gid === 0,
    'more groups': unknownKeys(process.user, ['uid', 'gid', 'umask']),
    'a core dump': process.rlimits.every(({ type, hard }) => type !== 'RLIMIT_CORE' || hard !== 1),
    'it is spared when memory is short': (process.oomScoreAdj ?? 0) < 0,
  };
  return Object.entries(rules).flatMap(([name, broken]) => (broken ? [name] : []));
}

export function unknownKeys(value: object, known: readonly string[]): boolean {
  return Object.keys(value).some((name) => !known.includes(name));
}
