import type { Mutant } from './mutant.ts';

/** Guards of the engine `docker`: what the product itself asks for and reads back is weakened with them, so that the probes alone can see it. */

const bodies = 'src/engines/docker/container-bodies.ts';
const lifecycle = 'src/engines/docker/lifecycle.ts';

/** What the kernel says of the first process is not looked at. */
export const firstProcessUnread = {
  file: 'src/engines/docker/read-back.ts',
  find: '.filter(([name, value]) => field(name) !== value)',
  replace: '.filter(([name, value]) => field(name) === `not ${value}`)',
};

/** Wherever the engine that is proved listens: another's may not be there. */
const ownSocket = "(process.env['DOCKER_HOST'] ?? 'unix:///run/docker.sock').slice('unix://'.length)";

const guards: readonly Omit<Mutant, 'engine'>[] = [
  {
    name: 'docker-rights-left',
    weakens: 'a container keeps the rights that Docker gives each, and the kernel is not asked about it',
    file: bodies,
    find: "    CapDrop: ['ALL'],",
    replace: '    CapDrop: [],',
    also: [firstProcessUnread],
    caughtBy: ['kernel.privilege'],
  },
  {
    name: 'docker-filter-off',
    weakens: 'a container runs without the filter of system calls',
    file: bodies,
    find: '`seccomp=${JSON.stringify(seccompProfile(machine))}`',
    replace: "'seccomp=unconfined', ...(machine === 'x64' ? [] : [String(seccompProfile)])",
    also: [firstProcessUnread],
    caughtBy: ['kernel.privilege', 'kernel.dangerous-calls'],
  },
  {
    name: 'docker-socket-shown',
    weakens: "a container is shown the engine's socket",
    file: bodies,
    find: "    bindMount(home, '/home/agent', 'write'),",
    replace: `    bindMount(home, '/home/agent', 'write'),\n    bindMount(${ownSocket}, '/mnt/docker.sock', 'read'),`,
    caughtBy: ['files.mounts'],
  },
  {
    name: 'docker-root-writable',
    weakens: 'the root of a container can be written',
    file: bodies,
    find: '    ReadonlyRootfs: true,',
    replace: '    ReadonlyRootfs: false,',
    caughtBy: ['specification.kernel-view'],
  },
  {
    name: 'docker-nothing-covered',
    weakens: 'what tells of the host is not covered',
    file: bodies,
    find: "    MaskedPaths: ['/sys', ...maskedPaths.filter((path) => !path.startsWith('/sys'))],",
    replace: "    MaskedPaths: ['/sys', ...maskedPaths.filter(() => false)],",
    caughtBy: ['specification.kernel-view'],
  },
  {
    name: 'docker-mounts-open',
    weakens: 'folders of the host are shown with devices and set-id bits that count',
    file: lifecycle,
    find: '  await restrictMounts(',
    replace: '  (await Promise.resolve(restrictMounts)) ?? restrictMounts(',
    caughtBy: ['specification.kernel-view'],
  },
  {
    name: 'docker-pools-unbounded',
    weakens: 'what the kernel keeps in one pool for everybody is not bounded',
    file: lifecycle,
    find: '  await limitPools(',
    replace: '  (await Promise.resolve(limitPools)) ?? limitPools(',
    caughtBy: ['specification.kernel-view'],
  },
];

export const dockerMutants: readonly Mutant[] = guards.map((guard) => ({ ...guard, engine: 'docker' }));
