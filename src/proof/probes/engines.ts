import { randomBytes } from 'node:crypto';

import { removeContainer } from '../../engines/docker/containers.ts';
import type { DockerContext } from '../../engines/docker/context.ts';
import { segment } from '../../engines/docker/docker-client.ts';
import { fieldsOf, rowsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import { none } from '../compare.ts';
import { eventually, settled } from '../eventually.ts';
import { attack, control, type Row } from '../finding.ts';
import { containerEngine, dockerParts, labContext } from '../lab/docker-view.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { lyingEngine } from '../lab/lying-engine.ts';
import { secondHome, type SecondHome } from '../lab/second-home.ts';
import { processesOf } from '../lab/told.ts';
import type { Probe, ProbeTable } from '../probe.ts';

/** Engines that make other containers than requested, what others do with such containers, and which of them are ours. */

type Change = (asked: Fields) => Fields;

/** Of `POST /containers/create`, in the words of each engine. */
const changes: Readonly<Record<'docker' | 'podman', Readonly<Record<string, Change>>>> = {
  docker: {
    'a right more': host(() => ({ CapAdd: ['SYS_ADMIN'] })),
    'no list of system calls': host(() => ({ SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'] })),
    "this host's processes": host(() => ({ PidMode: 'host' })),
    'nothing covered': host(() => ({ MaskedPaths: [] })),
    'a root that can be written': host(() => ({ ReadonlyRootfs: false })),
    'a folder of this host more': host(({ Mounts }) => ({
      Mounts: [...rowsOf(Mounts), { Type: 'bind', Source: '/etc', Target: '/srv', ReadOnly: true }],
    })),
  },
  podman: {
    'a right more': (asked) => ({ ...asked, cap_add: ['CAP_SYS_ADMIN'] }),
    'no list of system calls': (asked) => ({ ...asked, seccomp_profile_path: 'unconfined' }),
    "this host's processes": (asked) => ({ ...asked, pidns: { nsmode: 'host' } }),
    'nothing covered': (asked) => ({ ...asked, mask: [], unmask: ['ALL'] }),
    'a root that can be written': (asked) => ({ ...asked, read_only_filesystem: false }),
    'a folder of this host more': (asked) => ({
      ...asked,
      mounts: [...rowsOf(asked['mounts']), { type: 'bind', source: '/etc', destination: '/srv', options: ['bind', 'ro'] }],
    }),
  },
};

function host(change: (config: Fields) => Fields): Change {
  return (asked) => {
    const config = fieldsOf(asked['HostConfig']);
    return { ...asked, HostConfig: { ...config, ...change(config) } };
  };
}

async function otherThanAsked(lab: Lab): Promise<readonly Row[]> {
  const { plan } = lab.twin.target;
  if (plan === undefined) {
    throw new Error('a sandbox of the lab has a plan');
  }
  const engine = await lyingEngine(lab);
  const home = await secondHome(lab, { name: 'other', plan });
  const call: SecondHome['casemate'] = (args) => home.casemate(args, { env: engine.env });
  const rows: Row[] = [];
  try {
    await call(['create', 'other', '--workspace', home.workspace]);
    for (const [what, change] of Object.entries(changes[containerEngine(lab)])) {
      engine.say({ 'containers/create': change });
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { code, err } = await call(['start', 'other']);
      const said = err.toString('utf8').trim();
      rows.push(
        attack(`a container that the engine makes with ${what}`, {
          expected: 'refused: it is other than asked',
          seen: code === 0 ? 'it runs' : said.slice(0, 200),
          ok: code !== 0 && /other than asked|other than it was made/.test(said),
          from: 'outside',
        }),
      );
      // oxlint-disable-next-line no-await-in-loop -- as above
      await (code === 0 ? call(['stop', 'other']) : undefined);
    }
    engine.say(undefined);
    const left = await processesOf(call, 'other');
    const { code, err } = await call(['start', 'other']);
    return [
      ...rows,
      none('processes that run in one of them', left),
      control('start where the engine does as asked', {
        expected: '0',
        seen: code === 0 ? '0' : `${code}: ${err.toString('utf8').slice(0, 160)}`,
        ok: code === 0,
        from: 'outside',
      }),
    ];
  } finally {
    await call(['destroy', 'other', '--confirm', 'other']);
    await home.stop();
    await engine.close();
  }
}

/** What others do with the engine: it is on record, and what is not as planned any more ends. */
async function behindOurBack(lab: Lab): Promise<readonly Row[]> {
  const context = labContext(lab);
  const sandbox = await lab.make('behind');
  const left = async () => (await sandbox.target.processes()).map(String);
  try {
    await sandbox.target.inside(['true']);
    return [
      none('deeds of our own that count as those of others', await deedsOf(lab, sandbox)),
      deedRow('a command', 'command', await after(lab, sandbox, 'command', () => foreignCommand(context, lab, sandbox))),
      control('after a command of others it runs on', await runs(sandbox)),
      ...(containerEngine(lab) === 'docker' ? await withNetwork(context, lab, sandbox) : []),
      deedRow('a start anew', 'ended', await after(lab, sandbox, 'ended', () => startAnew(context, lab, sandbox))),
      none('processes in one that others started', await settled(left, waitMs)),
    ];
  } finally {
    await lab.casemate(['destroy', 'behind', '--confirm', 'behind']);
  }
}

const waitMs = 5000;

/** Podman gives a container none that was made without one. */
async function withNetwork(context: DockerContext, lab: Lab, sandbox: LabSandbox): Promise<readonly Row[]> {
  const network = await foreignNetwork(context);
  const attach = () => attachKeeper(context, { lab, sandbox, network });
  try {
    const seen = await after(lab, sandbox, 'network-attached', attach);
    return [
      deedRow('a network for its keeper', 'network-attached', seen),
      none(
        'processes in it with a network of others',
        await settled(async () => (await sandbox.target.processes()).map(String), waitMs),
      ),
    ];
  } finally {
    // Before anything of the keeper is left, the network cannot go.
    await lab.casemate(['stop', 'behind']);
    await context.client.call('DELETE', `/networks/${segment(network)}`);
    await lab.casemate(['start', 'behind']);
  }
}

async function startAnew({ client }: DockerContext, lab: Lab, sandbox: LabSandbox): Promise<void> {
  const { sandbox: told } = await dockerParts(lab, sandbox);
  await client.call('POST', `/containers/${segment(textOf(told['Id']))}/restart`, { query: { t: 0 } });
}

async function runs({ target }: LabSandbox) {
  const { code } = await target.inside(['true']);
  return { expected: '0', seen: String(code), ok: code === 0, from: 'outside' } as const;
}

function deedRow(what: string, wanted: string, seen: readonly string[]): Row {
  return attack(`${what}, by somebody else`, {
    expected: `on record: ${wanted}`,
    seen: seen.length === 0 ? 'nothing on record' : `on record: ${seen.join(', ')}`,
    ok: seen.includes(wanted),
    from: 'outside',
  });
}

async function deedsOf(lab: Lab, { id }: LabSandbox): Promise<readonly string[]> {
  const records = await lab.records();
  return records.filter(({ action, sandbox }) => action === 'sandbox.unmanaged' && sandbox === id).map(({ outcome }) => outcome);
}

/** What is on record since, once it is what was waited for, or when there was time for it. */
async function after(lab: Lab, sandbox: LabSandbox, wanted: string, deed: () => Promise<void>): Promise<readonly string[]> {
  const { length } = await deedsOf(lab, sandbox);
  await deed();
  const since = async () => (await deedsOf(lab, sandbox)).slice(length);
  return (
    (await eventually(async () => {
      const seen = await since();
      return seen.includes(wanted) ? seen : undefined;
    }, waitMs)) ?? (await since())
  );
}

async function foreignCommand({ client }: DockerContext, lab: Lab, sandbox: LabSandbox): Promise<void> {
  const { sandbox: told } = await dockerParts(lab, sandbox);
  const path = `/containers/${segment(textOf(told['Id']))}/exec`;
  const made = await client.must('POST', path, { body: { Cmd: ['true'], User: '65534:65534' } });
  await client.must('POST', `/exec/${segment(textOf(fieldsOf(made)['Id']))}/start`, { body: { Detach: true } });
}

/** One that leads nowhere. */
async function foreignNetwork({ client }: DockerContext): Promise<string> {
  const Name = `proof-${randomBytes(6).toString('hex')}`;
  const body = { Name, Driver: 'bridge', Internal: true };
  return textOf(fieldsOf(await client.must('POST', '/networks/create', { body }))['Id']);
}

async function attachKeeper(
  { client }: DockerContext,
  { lab, sandbox, network }: { readonly lab: Lab; readonly sandbox: LabSandbox; readonly network: string },
): Promise<void> {
  const { keeper } = await dockerParts(lab, sandbox);
  const body = { Container: textOf(keeper['Id']) };
  await client.must('POST', '/networks/none/disconnect', { body: { ...body, Force: true } });
  await client.must('POST', `/networks/${segment(network)}/connect`, { body });
}

/** Containers of others that call themselves parts of a sandbox: it goes, and they stay. */
async function othersStay(lab: Lab): Promise<readonly Row[]> {
  const context = labContext(lab);
  const sandbox = await lab.make('leaving');
  const { keeper, sandbox: own } = await dockerParts(lab, sandbox);
  const image = textOf(own['Image']);
  const claims: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'no label': {},
    'the sandbox, and no installation': { 'casemate.sandbox': sandbox.id, 'casemate.part': 'sandbox' },
    'the sandbox, and another installation': {
      'casemate.engine': randomBytes(16).toString('hex'),
      'casemate.sandbox': sandbox.id,
      'casemate.part': 'keeper',
    },
  };
  const made: (readonly [string, string])[] = [];
  try {
    for (const [claim, Labels] of Object.entries(claims)) {
      const body = { Image: image, Cmd: ['true'], Labels, HostConfig: { NetworkMode: 'none' } };
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      made.push([claim, textOf(fieldsOf(await context.client.must('POST', '/containers/create', { body }))['Id'])]);
    }
    await lab.casemate(['stop', 'leaving']);
    await lab.casemate(['start', 'leaving']);
    await lab.casemate(['destroy', 'leaving', '--confirm', 'leaving']);
    const isThere = async (id: string): Promise<boolean> =>
      (await context.client.call('GET', `/containers/${segment(id)}/json`)).status === 200;
    const there = await Promise.all(made.map(([, id]) => isThere(id)));
    const gone = !(await isThere(textOf(keeper['Id']))) && !(await isThere(textOf(own['Id'])));
    return [
      none(
        'containers of others that went with the sandbox, by what their labels say',
        made.flatMap(([claim], index) => (there[index] === true ? [] : [claim])),
      ),
      control('its own containers', { expected: 'gone', seen: gone ? 'gone' : 'there', ok: gone, from: 'outside' }),
    ];
  } finally {
    await Promise.all(made.map(([, id]) => removeContainer(context, id)));
  }
}

function ofEngines(row: Pick<Probe, 'title' | 'proves' | 'source'>, rows: (lab: Lab) => Promise<readonly Row[]>): Probe {
  return {
    ...row,
    where: 'lab',
    profile: 'full',
    run: async (lab) =>
      lab.twin.target.plan?.engine === 'oci'
        ? { notApplicable: 'no other program makes its containers: the runtime is started directly' }
        : { rows: await rows(lab) },
  };
}

export const engineProbes: ProbeTable = {
  'engines.other-than-asked': ofEngines(
    {
      title: 'be made by an engine that does other than it is asked',
      proves: ['G2', 'G16'],
      source: 'CIS Docker 5.3 to 5.21; options that an engine passes over in silence',
    },
    otherThanAsked,
  ),
  'engines.behind-our-back': ofEngines(
    {
      title: 'be changed by somebody else who may use the engine: a command, a network, a start',
      proves: ['G9', 'G17'],
      source: 'CIS Docker 5.9, 5.22; changes outside of the control plane',
    },
    behindOurBack,
  ),
  'engines.others-stay': ofEngines(
    {
      title: 'take containers of others along that call themselves a part of the sandbox',
      proves: ['G20'],
      source: 'CWE-639; labels that anybody can write',
    },
    othersStay,
  ),
};
