import type { Mutant } from './mutant.ts';

/** Guards around engines that others may use as well: what they made is read back, what others do is heard of, what is theirs stays; and around the Docker inside. */

const events = 'src/engines/docker/follow-events.ts';
const containers = 'src/engines/docker/containers.ts';
const nested = 'src/engines/docker/nested/containers.ts';

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
    // What is asked to cover nothing makes nothing read-only either.
    also: [
      {
        file: 'src/engines/docker/podman-read-back.ts',
        find: "rowsOf(host['ReadonlyPaths']).every((path) => rowsOf(linux['readonlyPaths']).includes(path)),",
        replace: 'true,',
      },
    ],
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
    replace: 'const label = sandbox === undefined ? [`${labels.engine}=${engine}`] : [labels.sandbox];',
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
  {
    name: 'broker-rights-left',
    weakens: 'a container of the Docker inside keeps the rights that Docker gives each',
    file: 'src/engines/docker/nested/body.ts',
    find: '      ...hostConfig({ ...facts, limits }),',
    replace: '      ...hostConfig({ ...facts, limits }),\n      CapDrop: [],',
    caughtBy: ['broker.beyond-itself'],
    engine: 'docker',
  },
  {
    name: 'broker-shows-the-host',
    weakens: 'a container of the Docker inside is shown any folder of the host',
    file: 'src/broker/read-mounts.ts',
    find: 'if (!roots.some((root) => path === root || path.startsWith(`${root}/`))) {',
    replace: 'if (!roots.some((root) => root.length > 0)) {',
    also: [
      {
        file: 'src/engines/docker/nested/mounts.ts',
        find: "const roots = { '/workspace': spec.workspace.path, '/home/agent': spec.home };",
        replace: "const roots = { '/workspace': spec.workspace.path, '/home/agent': spec.home, '': '/' };",
      },
    ],
    caughtBy: ['broker.beyond-itself'],
    engine: 'docker',
  },
  {
    name: 'broker-links-followed',
    weakens: 'a place that a container of the Docker inside is shown is looked up through links',
    file: 'src/engines/docker/nested/held-place.ts',
    find: 'const flags = O_PATH | constants.O_NOFOLLOW | (',
    replace: 'const flags = O_PATH | (',
    caughtBy: ['broker.beyond-itself'],
    engine: 'docker',
  },
  {
    name: 'broker-beside',
    weakens: 'the containers of all sandboxes are those of each',
    file: nested,
    find: 'filters: JSON.stringify({ label: await ownLabels(context, id) })',
    replace: 'filters: JSON.stringify({ label: (await ownLabels(context, id)).filter((one) => !one.includes(id)) })',
    also: [{ file: nested, find: 'told[labels.sandbox] === id && ', replace: '' }],
    caughtBy: ['broker.others'],
    engine: 'docker',
  },
];
