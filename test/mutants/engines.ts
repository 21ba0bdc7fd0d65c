import type { Mutant } from './mutant.ts';

/** Guards around engines that others may use as well: what they made is read back, what others do is heard of, what is theirs stays. */

const events = 'src/engines/docker/follow-events.ts';
const containers = 'src/engines/docker/containers.ts';

export const engineMutants: readonly Mutant[] = [
  {
    name: 'engine-answer-unread',
    weakens: 'how the engine says that it confines a container is not compared with what was asked for',
    file: 'src/engines/docker/read-back.ts',
    find: "    ...differing('HostConfig', HostConfig, fieldsOf(answer['HostConfig'])),",
    replace: "    ...differing('HostConfig', HostConfig, HostConfig),",
    caughtBy: ['engines.other-than-asked'],
    engine: 'docker',
  },
  {
    name: 'podman-covers-unread',
    weakens: 'which paths Podman told the runtime to cover is not compared with what was asked for',
    file: 'src/engines/docker/podman-read-back.ts',
    find: "rowsOf(host['MaskedPaths']).every((path) => rowsOf(linux['maskedPaths']).includes(path)),",
    replace: 'true,',
    caughtBy: ['engines.other-than-asked'],
    engine: 'podman',
  },
  {
    name: 'engine-events-unheard',
    weakens: 'nobody listens to what others do with the engine',
    file: events,
    find: 'if (tell() !== undefined) {',
    replace: 'if (tell() === undefined) {',
    caughtBy: ['engines.behind-our-back'],
    engine: 'docker',
  },
  {
    name: 'engine-network-kept',
    weakens: 'a sandbox whose keeper was given a network by others runs on',
    file: events,
    find: "if (what === 'network-attached' || what === 'started') {",
    replace: "if (what === 'started') {",
    caughtBy: ['engines.behind-our-back'],
    engine: 'docker',
  },
  {
    name: 'podman-commands-unheard',
    weakens: 'what Podman calls a command of others is not understood',
    file: events,
    find: "  exec: 'exec_create',\n",
    replace: '',
    caughtBy: ['engines.behind-our-back'],
    engine: 'podman',
  },
  {
    name: 'engine-labels-of-others',
    weakens: 'what calls itself a part of a sandbox is taken for ours, whoever made it',
    file: containers,
    find: 'const label = [`${labels.engine}=${engine}`];',
    replace: 'const label = sandbox === undefined ? [`${labels.engine}=${engine}`] : [`${labels.sandbox}=${sandbox}`];',
    also: [
      {
        file: containers,
        find: 'return told[labels.engine] === engine &&',
        replace: 'return (sandbox !== undefined || told[labels.engine] === engine) &&',
      },
    ],
    caughtBy: ['engines.others-stay'],
    engine: 'docker',
  },
];
