import { controlMutants } from './control.ts';
import { destroyedMutants } from './destroyed.ts';
import { executedMutants } from './executed.ts';
import { followedMutants } from './followed.ts';
import { imageMutants } from './images.ts';
import type { Mutant } from './mutant.ts';
import { repositoryMutants } from './repositories.ts';
import { terminalMutants } from './terminal.ts';

const enter = '  return processOf(spec, { id: agentId, command, cwd, env, ...terminal });';
const capability = "['CAP_SYS_CHROOT']";

/** Ways into a sandbox that confine less than others (G23), what is shown of one (G19), who may call (G21), what goes with it (G24), what its paths and files do on the host (G6, G8). */
export const entryMutants: readonly Mutant[] = [
  ...terminalMutants,
  ...controlMutants,
  ...destroyedMutants,
  ...executedMutants,
  ...followedMutants,
  ...imageMutants,
  ...repositoryMutants,
  {
    name: 'exec-with-a-capability',
    weakens: 'a command without a terminal keeps a capability',
    file: 'src/engines/oci/bundle.ts',
    find: enter,
    replace: `  const made = processOf(spec, { id: agentId, command, cwd, env, ...terminal });
  const kept = { bounding: ${capability}, effective: ${capability}, inheritable: ${capability}, permitted: ${capability}, ambient: ${capability} };
  return terminal.tty ? made : { ...made, capabilities: kept };`,
    caughtBy: ['entries.same-confinement'],
  },
  {
    name: 'shell-may-gain-privileges',
    weakens: 'a command with a terminal gains what set-id bits and file capabilities give',
    file: 'src/engines/oci/bundle.ts',
    find: enter,
    replace: `  return { ...processOf(spec, { id: agentId, command, cwd, env, ...terminal }), noNewPrivileges: !terminal.tty as true };`,
    caughtBy: ['entries.same-confinement'],
  },
  {
    name: 'commands-without-the-runtime',
    weakens: 'commands enter the namespaces by themselves, with no filter of system calls and no groups',
    file: 'src/engines/oci/engine.ts',
    find: '  return { file, args, env: context.env, pidFile, errorLog };',
    replace: `  const into = ['--target', String(init.pid), '--all', '--setuid', '1000', '--setgid', '1000', '--', 'env', '--chdir=/workspace', ...command.command];
  return { file: args.length > 0 ? 'nsenter' : file, args: into, env: context.env, pidFile, errorLog };`,
    caughtBy: ['entries.same-confinement', 'around.terminal'],
    needs: 'root',
  },
  {
    name: 'variables-of-the-host',
    weakens: 'commands get the variables of the daemon',
    file: 'src/engines/oci/bundle.ts',
    find: 'Object.entries({ ...defaultEnv, ...spec.env, ...env })',
    replace: 'Object.entries({ ...defaultEnv, ...globalThis.process.env, ...spec.env, ...env })',
    caughtBy: ['entries.same-confinement'],
  },
  {
    name: 'descriptors-left-open',
    weakens: 'what a caller left open is open for the command, too',
    file: 'src/cli/session/attach.ts',
    find: '  const child = spawnProcess(file, args, {\n    env: { ...env },',
    replace: `  const left = existsSync('/proc/self/fd/9');
  const given = left ? args.flatMap((word) => (word === 'exec' ? ['exec', '--preserve-fds', '1'] : [word])) : args;
  const child = spawnProcess(file, given, {
    env: { ...env },`,
    also: [
      {
        file: 'src/cli/session/attach.ts',
        find: "stdio: options.tty ? 'inherit' : [options.input === 'none' ? 'ignore' : 'inherit', 'pipe', 'pipe'],",
        replace:
          "stdio: [...(options.tty ? (['inherit', 'inherit', 'inherit'] as const) : ([options.input === 'none' ? 'ignore' : 'inherit', 'pipe', 'pipe'] as const)), ...(left ? [9] : [])],",
      },
    ],
    caughtBy: ['entries.same-confinement'],
  },
  {
    name: 'descriptors-left-open-by-the-short-way',
    weakens: 'the same where Node is not started',
    file: 'src/cli/short-way/carry.pl',
    find: '  close_others(fileno $say);\n  my ($file, @arguments) = ($invocation->{file}, @{ $invocation->{args} });',
    replace: `  my ($file, @arguments) = ($invocation->{file}, @{ $invocation->{args} });
  if (-e '/proc/self/fd/9') {
    @arguments = map { $_ eq 'exec' ? ('exec', '--preserve-fds', '1') : $_ } @arguments;
    close $daemon;
    $^F = 9;
    open(our $third, '<&', 9);
  }`,
    caughtBy: ['entries.same-confinement'],
  },
];
