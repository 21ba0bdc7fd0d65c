import type { Mutant } from './mutant.ts';

const networkRights =
  "capabilities: { bounding: ['CAP_NET_ADMIN'], effective: ['CAP_NET_ADMIN'], inheritable: ['CAP_NET_ADMIN'], permitted: ['CAP_NET_ADMIN'], ambient: ['CAP_NET_ADMIN'] },";

/** What of the kernel, of devices and of processes a sandbox on this host's kernel can reach (G1, G3, G4, G19). */
export const kernelMutants: readonly Mutant[] = [
  {
    name: 'every-netlink-protocol',
    weakens: 'sockets of netlink may speak every protocol',
    file: 'src/engines/kernel/seccomp.ts',
    find: "    allow(['socket'], is(0, family.netlink), is(2, protocol.netlinkRoute)),",
    replace: "    allow(['socket'], is(0, family.netlink)),",
    caughtBy: ['kernel.socket-protocols'],
  },
  {
    name: 'crypto-sockets-allowed',
    weakens: 'the crypto family of sockets is allowed',
    file: 'src/engines/kernel/seccomp.ts',
    find: "    allow(['socket', 'socketpair'], is(0, family.unix)),",
    replace: "    allow(['socket', 'socketpair'], is(0, family.unix)), allow(['socket'], is(0, 38)),",
    caughtBy: ['kernel.crypto-socket'],
  },
  {
    name: 'a-call-more',
    weakens: 'a system call is allowed that is not on the published list',
    file: 'src/engines/oci/bundle.ts',
    find: '{ seccomp: seccompProfile(facts.machine) }',
    replace:
      "{ seccomp: { ...seccompProfile(facts.machine), syscalls: [...seccompProfile(facts.machine).syscalls, { names: ['setns'], action: 'SCMP_ACT_ALLOW' as const }] } }",
    caughtBy: ['kernel.reachable-calls', 'kernel.dangerous-calls'],
  },
  {
    name: 'namespaces-allowed',
    weakens: 'new namespaces can be made',
    file: 'src/engines/kernel/seccomp.ts',
    find: "  return [allow(['clone'], bits(0, newNamespaces, 0))];",
    replace: "  return [allow(['clone', 'unshare'])];",
    caughtBy: ['kernel.namespaces'],
  },
  {
    name: 'settings-of-the-network',
    weakens: 'every process may change the settings of its network, and files that steer the kernel are not read-only',
    file: 'src/engines/oci/bundle.ts',
    find: 'capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },',
    replace: networkRights,
    also: [{ file: 'src/engines/oci/bundle.ts', find: '      readonlyPaths,\n', replace: '      readonlyPaths: [],\n' }],
    caughtBy: ['kernel.host-controls'],
  },
  {
    name: 'files-of-the-kernel-shown',
    weakens: 'what of /proc tells of the host is not covered',
    file: 'src/engines/oci/bundle.ts',
    find: '      maskedPaths,\n',
    replace: '      maskedPaths: [],\n',
    caughtBy: ['kernel.telltales', 'specification.kernel-view', 'specification.golden'],
  },
  {
    name: 'typing-into-terminals',
    weakens: 'the call that types into a terminal is allowed',
    file: 'src/engines/kernel/seccomp.ts',
    find: 'const refused = [0x5412, 0x541c];',
    replace: 'const refused = [0x541c];',
    caughtBy: ['kernel.terminal'],
  },
  {
    name: 'device-of-the-host',
    weakens: 'a device of the host is shown',
    file: 'src/engines/oci/bundle.ts',
    find: '      sysctl: socketBuffers,\n',
    replace:
      "      sysctl: socketBuffers, ...{ devices: [{ path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o666, uid: 0, gid: 0 }] },\n",
    caughtBy: ['files.devices', 'specification.golden'],
  },
  {
    name: 'a-folder-of-the-system',
    weakens: 'a folder of the system belongs to the agent',
    file: 'src/engines/kernel/limits.ts',
    find: "{ destination: '/run', bytes: 16 * MiB, options: ['noexec', 'mode=0755'] },",
    replace: "{ destination: '/run', bytes: 16 * MiB, options: ['noexec', 'mode=0755', 'uid=1000'] },",
    caughtBy: ['files.read-only-root'],
  },
  {
    name: 'first-process-of-the-agent',
    weakens: 'the first process has the id of the agent, who can then signal and read it',
    file: 'src/engines/oci/bundle.ts',
    find: '{ id: keeperId, command: firstProgram,',
    replace: '{ id: agentId, command: firstProgram,',
    caughtBy: ['files.processes'],
  },
  {
    name: 'agent-of-keys-handed-in',
    weakens: 'a variable leads to an agent of keys of the host',
    file: 'src/engines/kernel/limits.ts',
    find: "HOME: '/home/agent' };",
    replace: "HOME: '/home/agent', SSH_AUTH_SOCK: '/run/agent.sock' };",
    caughtBy: ['files.host-sockets'],
  },
];

/** Where packets can go without the gateway (G9). */
export const networkMutants: readonly Mutant[] = [
  {
    name: 'route-beside-the-gateway',
    weakens: "the sandbox's network namespace has a route to addresses outside",
    file: 'src/engines/oci/listen.pl',
    find: 'for (@ports) {',
    replace: "system('ip', 'route', 'add', '192.0.2.0/24', 'dev', 'lo');\nfor (@ports) {",
    caughtBy: ['network.no-route', 'network.interfaces'],
    needs: 'root',
  },
  {
    name: 'network-rights-left',
    weakens: 'every process keeps the right to change the network of its namespace',
    file: 'src/engines/oci/bundle.ts',
    find: 'capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },',
    replace: networkRights,
    caughtBy: ['network.change-address', 'kernel.privilege'],
  },
];
