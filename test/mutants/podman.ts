import { firstProcessUnread } from './docker.ts';
import type { Edit, Mutant } from './mutant.ts';

/** Guards of what Podman is asked for in words of its own (`podman-spec.ts`); what reads it back is weakened with each. */

const spec = 'src/engines/docker/podman-spec.ts';

/** What Podman told the runtime is not looked at. */
function untold(find: string, name: string): Edit {
  return { file: 'src/engines/docker/podman-read-back.ts', find, replace: `'${name}': true,` };
}

const guards: readonly Omit<Mutant, 'engine' | 'file'>[] = [
  {
    name: 'podman-rights-left',
    weakens: 'a container keeps the rights that Podman gives each, and the kernel is not asked about it',
    find: "    cap_drop: ['ALL'],",
    replace: '    cap_drop: [],',
    also: [
      untold(
        "'process.capabilities': Object.values(fieldsOf(program['capabilities'])).every(isNothing),",
        'process.capabilities',
      ),
      firstProcessUnread,
    ],
    caughtBy: ['kernel.privilege'],
  },
  {
    name: 'podman-new-privileges',
    weakens: 'a program with set-id bits gains what they give, and the kernel is not asked about it',
    find: '    no_new_privileges: true,',
    replace: '    no_new_privileges: false,',
    also: [
      untold("'process.noNewPrivileges': program['noNewPrivileges'] === true,", 'process.noNewPrivileges'),
      firstProcessUnread,
    ],
    caughtBy: ['kernel.privilege'],
  },
  {
    name: 'podman-filter-off',
    weakens: 'a container runs without the filter of system calls',
    find: '    seccomp_profile_path: seccompFile,',
    replace: "    seccomp_profile_path: seccompFile.slice(0, 0) + 'unconfined',",
    also: [
      untold("'linux.seccomp': isSame(callsOf(linux['seccomp']), callsOf(seccompIn(host['SecurityOpt']))),", 'linux.seccomp'),
      firstProcessUnread,
    ],
    caughtBy: ['kernel.privilege', 'kernel.dangerous-calls'],
  },
  {
    name: 'podman-root-writable',
    weakens: 'the root of a container can be written',
    find: '    read_only_filesystem: true,',
    replace: '    read_only_filesystem: false,',
    also: [untold("'root.readonly': fieldsOf(config['root'])['readonly'] === true,", 'root.readonly')],
    caughtBy: ['specification.kernel-view'],
  },
  {
    name: 'podman-mounts-open',
    weakens: 'folders of the host are shown with devices and set-id bits that count',
    find: "return ['bind', 'rprivate', isReadOnly ? 'ro' : 'rw', 'nosuid', 'nodev'];",
    replace: "return ['bind', 'rprivate', isReadOnly ? 'ro' : 'rw'];",
    also: [
      {
        file: 'src/engines/docker/lifecycle.ts',
        find: '  await restrictMounts(',
        replace: '  (await Promise.resolve(restrictMounts)) ?? restrictMounts(',
      },
    ],
    caughtBy: ['specification.kernel-view'],
  },
];

export const podmanMutants: readonly Mutant[] = guards.map((guard) => ({ ...guard, file: spec, engine: 'podman' }));
