import type { Mutant } from './mutant.ts';

/** Guards against faults: what is broken stops work, and never opens a way. */
export const faultMutants: readonly Mutant[] = [
  {
    name: 'listener-falls-back',
    weakens: 'a helper that stays behind in the sandbox answers by itself when the gateway is dead or hangs',
    file: 'src/engines/oci/listen.pl',
    find: 'await_node();',
    replace:
      'if (@main::kept && fork() == 0) {\n  open(my $channel, "<&=", $ENV{NODE_CHANNEL_FD});\n  close $_ for $channel, *STDERR;\n  alarm 120;\n  while (open(my $stat, "<", "/proc/$main::daemon/stat")) {\n    last if <$stat> =~ /\\) T/;\n    select undef, undef, undef, 0.03;\n  }\n  syswrite $main::client, "HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n" while accept($main::client, $main::kept[0]);\n  exit 0;\n}\nawait_node();',
    also: [
      {
        file: 'src/engines/oci/listen.pl',
        find: 'bound_listener($protocol, $port));',
        replace:
          'my $socket = bound_listener($protocol, $port));\n  $main::daemon = getppid();\n  push @main::kept, $socket if $protocol eq "tcp" && $port == 80;',
      },
    ],
    caughtBy: ['outages.killed', 'outages.stopped'],
  },
  {
    name: 'layer-check-skipped',
    weakens: 'a start goes on where the host lacks a layer',
    file: 'src/engines/require-layers.ts',
    find: 'const lacking = reports.filter(({ layer, available }) => !available && !waived.includes(layer));',
    replace: 'const lacking = reports.filter(({ layer, available }) => !available && waived.includes(`${layer} never`));',
    caughtBy: ['faults.missing-layer'],
  },
  {
    name: 'groups-taken-for-granted',
    weakens: 'a host without cgroups counts as one that limits memory',
    file: 'src/engines/oci/examine.ts',
    find: "'memory-limit': () => controller(host, 'memory'),",
    replace: "'memory-limit': async () => present('assumed'),",
    caughtBy: ['faults.missing-layer'],
  },
  {
    name: 'layer-unnamed',
    weakens: 'a start that is refused does not say which layer is missing',
    file: 'src/engines/require-layers.ts',
    find: "throw new CasemateError('LAYER_MISSING', lacking.map(({ layer, detail }) => `${layer}: ${detail}`).join('; '), {",
    replace: "throw new CasemateError('LAYER_MISSING', `the host lacks something (${lacking.length})`, {",
    caughtBy: ['faults.missing-layer'],
  },
  {
    name: 'unknown-keys-accepted',
    weakens: 'a key of a policy that is not known is passed over',
    file: 'src/policy/written/parse-file.ts',
    find: '  const parsed = form.schema.safeParse(yaml.value);\n',
    replace:
      "  let parsed = form.schema.safeParse(yaml.value);\n  for (let tries = 0; tries < 9 && !parsed.success && parsed.error.issues.every(({ code }) => code === 'unrecognized_keys'); tries += 1) {\n    for (const { path, keys } of parsed.error.issues as any) {\n      const holder = path.reduce((value: any, key: any) => value[key], yaml.value as any);\n      keys.forEach((key: string) => delete holder[key]);\n    }\n    parsed = form.schema.safeParse(yaml.value);\n  }\n",
    caughtBy: ['faults.broken-policy'],
  },
  {
    name: 'broken-policy-skipped',
    weakens: "a user's policy that cannot be read counts as none",
    file: 'src/sandbox/policy-files/load-policy.ts',
    find: "  const user = await readLayer('user', userFile ?? join(paths.config, 'policy.yaml'), { workspaceFolder: cwd, instead });",
    replace:
      "  const user = await readLayer('user', userFile ?? join(paths.config, 'policy.yaml'), { workspaceFolder: cwd, instead }).catch(() => undefined);",
    caughtBy: ['faults.broken-policy'],
  },
  {
    name: 'journal-not-awaited',
    weakens: 'an exchange does not wait for its line in the journal, nor fails with it',
    file: 'src/gateway/records.ts',
    find: "const isWritten = await write(entryOf(effect, { action: 'net.open', decision: 'allow', outcome: 'ok' }));",
    replace:
      "write(entryOf(effect, { action: 'net.open', decision: 'allow', outcome: 'ok' })).catch(() => undefined);\n      const isWritten = true as boolean;",
    caughtBy: ['faults.full-disk'],
  },
  {
    name: 'journal-made-anew',
    weakens: 'a daemon whose journal is no folder sets it aside and starts with a new one',
    file: 'src/daemon/assemble.ts',
    find: '  const journal = await openJournal({ ...journalPlace(paths), clock: systemClock });',
    replace:
      "  const journal = await openJournal({ ...journalPlace(paths), clock: systemClock }).catch(async () => {\n    const { rm } = await import('node:fs/promises');\n    await rm(join(paths.state, 'journal'), { force: true });\n    await rm(join(paths.config, 'witness.json'), { force: true });\n    return await openJournal({ ...journalPlace(paths), clock: systemClock });\n  });",
    caughtBy: ['outages.absent'],
  },
];
