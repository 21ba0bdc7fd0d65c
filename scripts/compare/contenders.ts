/** Sandboxes that are compared: how each is started, and what it does not promise by its own words. */
export interface Contender {
  readonly name: string;
  /** what must be prepared for it */
  readonly needs: 'docker' | 'podman' | 'srt' | 'bwrap' | 'casemate';
  /** who starts it, where the comparison is run by root; else the caller */
  readonly as: 'root' | 'user';
  /** argument list with the places of `casemate prove --command`, and `IMAGE`, `SRT`, `SETTINGS`, `STORE`, `CASEMATE` */
  readonly words: readonly string[];
  /** why it was started like this */
  readonly about: string;
  /** probes that attack something it does not promise, by the reason */
  readonly notPromised: Readonly<Record<string, readonly string[]>>;
}

/** Measures that are ours: nobody else says that this is kept. */
const ownMeasure = ['kernel.socket-families', 'kernel.socket-protocols', 'kernel.dangerous-calls', 'kernel.reachable-calls'];

const containers: Contender['notPromised'] = {
  'The list of system calls and sockets is wider by design, so that most images run; the measure here is the list Casemate publishes.':
    ownMeasure,
  'The root file system of a container is a layer of its own that may be written; `--read-only` is an option.': [
    'files.read-only-root',
  ],
  'A folder that is mounted is given whole: names that tools of the host act on, set-id bits and owners in it are the business of whoever mounts it.':
    ['around.planted-names', 'around.left-behind', 'files.set-id'],
  'Limits on processes and memory are options (`--pids-limit`, `--memory`).': ['around.limits'],
  'Some files of `/proc` are covered, the rest is that of the kernel.': ['kernel.telltales'],
};

const docker: Contender['notPromised'] = {
  ...containers,
  'A container has a network and a way out unless it is started with `--network none`.': [
    'network.interfaces',
    'network.no-route',
    'around.reach',
  ],
};

const dockerRights: Contender['notPromised'] = {
  'Root in a container keeps a list of capabilities, and can make devices, by default.': ['kernel.privilege', 'files.devices'],
};

const boundHost: Contender['notPromised'] = {
  'The file system of the host is shown, read-only; what is not to be read must be named.': [
    'around.canaries',
    'around.files',
    'around.home-secrets',
  ],
  'The environment of whoever starts it is passed on.': ['around.environment', 'files.host-sockets'],
  'There are no limits of its own.': ['around.limits'],
  'The kernel is not hidden.': ['kernel.telltales'],
};

const mountWork = ['-v', '{work}:/workspace', '-w', '/workspace'];
const dockerRun = ['docker', 'run', '--rm', '-i', ...mountWork];

export const contenders: readonly Contender[] = [
  {
    name: 'casemate',
    needs: 'casemate',
    as: 'root',
    words: ['CASEMATE', 'run', '--', '{}'],
    about: 'This project on an empty policy: no host is allowed, no layer waived.',
    notPromised: {},
  },
  {
    name: 'docker',
    needs: 'docker',
    as: 'root',
    words: [...dockerRun, 'IMAGE', '{}'],
    about: 'Docker as it comes, with the project mounted.',
    notPromised: { ...docker, ...dockerRights },
  },
  {
    name: 'docker-hardened',
    needs: 'docker',
    as: 'root',
    words: [...dockerRun, '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', 'IMAGE', '{}'],
    about: 'With the two options that guides name first.',
    notPromised: {
      ...docker,
      'Root inside stays the user id 0 of the host unless the daemon maps ids (`userns-remap`).': ['kernel.privilege'],
    },
  },
  {
    name: 'docker-home',
    needs: 'docker',
    as: 'root',
    words: ['docker', 'run', '--rm', '-i', '-v', '{home}:/root', '-w', '/root/project', 'IMAGE', '{}'],
    about: 'As it is done so that an agent finds its login and settings.',
    notPromised: {
      ...docker,
      ...dockerRights,
      'The home was mounted by whoever wrote this command: it is given, with all that lies in it.': [
        'around.home-secrets',
        'around.canaries',
        'files.host-sockets',
        'around.sockets',
      ],
    },
  },
  {
    name: 'podman-rootless',
    needs: 'podman',
    as: 'user',
    words: [
      'podman',
      '--root',
      'STORE/store',
      '--runroot',
      'STORE/run',
      '--storage-driver',
      'overlay',
      '--cgroup-manager',
      'cgroupfs',
      'run',
      '--rm',
      '-i',
      '--network',
      'none',
      ...mountWork,
      'IMAGE',
      '{}',
    ],
    about: 'Rootless and without a network, because its usual network needs a device that many machines do not give to users.',
    notPromised: {
      ...containers,
      'Root in a container keeps a list of capabilities within its user namespace, and may make namespaces, by default.': [
        'kernel.privilege',
        'kernel.namespaces',
      ],
    },
  },
  {
    name: 'srt',
    needs: 'srt',
    as: 'user',
    words: ['SRT', '--settings', 'SETTINGS', '-c', '{sh}'],
    about: 'Anthropic’s sandbox-runtime, with no domain allowed and writing in the project and `/tmp`, as in its own examples.',
    notPromised: {
      ...boundHost,
      'Its filter refuses Unix sockets and io_uring; other calls and sockets stay open. Capabilities are bounded by the namespace, not emptied.':
        [...ownMeasure, 'kernel.privilege'],
      'It protects a list of names (`.git/hooks`, `.git/config`, `.vscode`, `.mcp.json` and others), which held; others are ordinary files to it.':
        ['around.planted-names'],
      'A file that may be written may have any mode.': ['around.left-behind', 'files.set-id'],
      '`/dev` is a file system of its own that may be written.': ['files.read-only-root'],
    },
  },
  {
    name: 'bwrap',
    needs: 'bwrap',
    as: 'user',
    words: [
      ...'bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --bind {work} {work} --chdir {work}'.split(' '),
      ...'--unshare-all --die-with-parent {}'.split(' '),
    ],
    about:
      'Bubblewrap by hand, all namespaces its own. By its README it is a tool to build sandboxes with, not one with a policy.',
    notPromised: {
      ...boundHost,
      'No filter of system calls unless one is given (`--seccomp`).': [...ownMeasure, 'kernel.privilege', 'kernel.namespaces'],
      'The terminal is kept unless it is started with `--new-session`; the manual says so.': ['around.terminal'],
      'A folder that is bound writable is given whole.': ['around.planted-names', 'around.left-behind', 'files.set-id'],
      'Sockets in what is bound can be reached.': ['around.sockets'],
      '`/dev` is a file system of its own that may be written.': ['files.read-only-root'],
    },
  },
];
