import { rm } from 'node:fs/promises';

import { inspectContainer } from '../../engines/docker/containers.ts';
import { segment } from '../../engines/docker/docker-client.ts';
import { fieldsOf, numberOf, rowsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import { none } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import { askBroker, idIn, noAnswer, type BrokerRequest } from '../lab/broker-client.ts';
import { labContext } from '../lab/docker-view.ts';
import type { Lab } from '../lab/lab.ts';
import { secondHome, type SecondHome } from '../lab/second-home.ts';
import { containerFaults } from '../outside/running-docker.ts';
import type { Probe, ProbeTable } from '../probe.ts';

/** Docker inside: what programs of a sandbox ask of the broker, and what happens in the engine as a result. */

/** With two sandboxes that are offered Docker. */
interface Offered {
  readonly lab: Lab;
  readonly home: SecondHome;
}

async function whereOffered(lab: Lab, work: (offered: Offered) => Promise<readonly Row[]>): Promise<readonly Row[]> {
  const { plan } = lab.twin.target;
  if (plan === undefined) {
    throw new Error('a sandbox of the lab has a plan');
  }
  const home = await secondHome(lab, { name: 'offered', plan, more: { docker: { run: true } } });
  try {
    for (const name of ['one', 'two']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await home.casemate(['create', name, '--workspace', home.workspace]);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await home.casemate(['start', name]);
    }
    return await work({ lab, home });
  } finally {
    for (const name of ['one', 'two']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await home.casemate(['destroy', name, '--confirm', name]);
    }
    await home.stop();
    await Promise.all([home.workspace, home.home].map((path) => rm(path, { recursive: true, force: true })));
  }
}

const plain = { Image: 'casemate/sandbox', Cmd: ['sleep', '600'] } as const;

/** What a container of it is to have more than the sandbox has: parts of `POST /containers/create`. */
function greedy({ lab, home }: Offered): Readonly<Record<string, object>> {
  const host = (HostConfig: object): object => ({ ...plain, HostConfig });
  const bind = (text: string): object => host({ Binds: [text] });
  const elsewhere = { Type: 'bind', Source: '/etc', Target: '/seen' };
  const driver = { Name: 'local', Options: { type: 'none', o: 'bind', device: '/etc' } };
  return {
    'every right': host({ Privileged: true }),
    'one right': host({ CapAdd: ['SYS_ADMIN'] }),
    'no list of system calls': host({ SecurityOpt: ['seccomp=unconfined'] }),
    'nothing covered': host({ MaskedPaths: [], ReadonlyPaths: [], SecurityOpt: ['systempaths=unconfined'] }),
    "this host's processes": host({ PidMode: 'host' }),
    "this host's network": host({ NetworkMode: 'host' }),
    "this host's memory": host({ IpcMode: 'host' }),
    "this host's names": host({ UTSMode: 'host' }),
    "this host's ids": host({ UsernsMode: 'host' }),
    'a device': host({ Devices: [{ PathOnHost: '/dev/kmsg', PathInContainer: '/dev/kmsg', CgroupPermissions: 'rwm' }] }),
    'another parent of its group': host({ CgroupParent: '/' }),
    'a setting of the kernel': host({ Sysctls: { 'net.ipv4.ip_forward': '1' } }),
    'another runtime': host({ Runtime: 'io.containerd.runsc.v1' }),
    'a key nobody knows': host({ Confinement: 'none' }),
    root: { ...plain, User: '0:0' },
    'the root of this host': bind('/:/seen'),
    'the socket of the engine': bind('/var/run/docker.sock:/seen'),
    'a folder beside its workspace': bind(`${lab.folder}:/seen`),
    'a folder by way of dots': bind('/workspace/../../../etc:/seen'),
    'a folder through a link': bind('/workspace/link:/seen'),
    'a folder below a link': bind('/workspace/link/config:/seen'),
    'a mount': host({ Mounts: [elsewhere] }),
    'a mount that is shared': host({ Mounts: [{ ...elsewhere, Source: '/workspace', BindOptions: { Propagation: 'shared' } }] }),
    'a volume that is a folder': host({
      Mounts: [{ ...elsewhere, Type: 'volume', Source: 'v', VolumeOptions: { DriverConfig: driver } }],
    }),
    'volumes of another one': host({ VolumesFrom: ['two'] }),
    'its own workspace by its name on this host': bind(`${home.workspace}:/seen`),
  };
}

async function beyondItself(offered: Offered): Promise<readonly Row[]> {
  const { lab, home } = offered;
  await home.casemate(['exec', 'one', '--', 'ln', '-s', lab.folder, '/workspace/link']);
  const rows: Row[] = [];
  for (const [what, body] of Object.entries(greedy(offered))) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    rows.push(await greedRow(offered, what, body));
  }
  return [...rows, ...(await inItsOwn(offered))];
}

/** Deeds on a container as it should be. */
async function inItsOwn(offered: Offered): Promise<readonly Row[]> {
  const { home } = offered;
  const [made = noAnswer] = await askBroker(home, 'one', [{ method: 'POST', path: '/containers/create', body: plain }]);
  const id = idIn(made) ?? 'none';
  const faults = id === 'none' ? [`${made.status}: ${made.text}`] : await faultsOf(offered, id);
  const requests: Readonly<Record<string, BrokerRequest>> = {
    'a command with every right': { method: 'POST', path: `/containers/${id}/exec`, body: { Cmd: ['true'], Privileged: true } },
    "the engine's own copying of files": { method: 'GET', path: `/containers/${id}/archive?path=/etc` },
    'other limits afterwards': { method: 'POST', path: `/containers/${id}/update`, body: { PidsLimit: -1 } },
  };
  const answers = await askBroker(home, 'one', Object.values(requests));
  return [
    ...Object.keys(requests).map((what, index) => {
      const { status } = answers[index] ?? noAnswer;
      return attack(what, { expected: 'refused', seen: String(status), ok: status >= 400, from: 'inside' });
    }),
    control('a container as it should be', {
      expected: 'made, and without a fault',
      seen: faults.join(', ') || 'made, and without a fault',
      ok: faults.length === 0,
      from: 'outside',
    }),
  ];
}

/** It may be made without what was asked for; what is made is looked at in the engine and by the kernel. */
async function greedRow(offered: Offered, what: string, body: object): Promise<Row> {
  const { home } = offered;
  const [made = noAnswer] = await askBroker(home, 'one', [{ method: 'POST', path: '/containers/create', body }]);
  const id = idIn(made);
  const faults = id === undefined ? [] : await faultsOf(offered, id);
  if (id !== undefined) {
    await askBroker(home, 'one', [{ method: 'DELETE', path: `/containers/${id}?force=true` }]);
  }
  return attack(`a container with ${what}`, {
    expected: 'refused, or made without it',
    seen: id === undefined ? `${made.status} ${made.text.trim()}`.slice(0, 160) : faults.join(', ') || 'made without it',
    // No answer is no refusal.
    ok: id === undefined ? made.status >= 400 : faults.length === 0,
    from: 'outside',
  });
}

/** What a client may say of its own container, and a sandbox may not be. */
const own: ReadonlySet<string> = new Set(['a root that can be written', 'variables of the first process']);

/** Of a container that is started for it. */
async function faultsOf({ lab, home }: Offered, id: string): Promise<readonly string[]> {
  await askBroker(home, 'one', [{ method: 'POST', path: `/containers/${id}/start` }]);
  const context = labContext(lab);
  const told = fieldsOf(await inspectContainer(context, id));
  const pid = numberOf(fieldsOf(told['State'])['Pid']) ?? 0;
  const lines = (await readProcess(pid, 'mountinfo')).split('\n').map((line) => line.split(' '));
  const seen = lines.filter((fields) => fields[4] === '/seen').map((fields) => fields[3] ?? '');
  const network = textOf(fieldsOf(told['HostConfig'])['NetworkMode']);
  return [
    ...containerFaults(told).filter((fault) => !own.has(fault)),
    ...(network === 'none' || network.startsWith('container:') ? [] : [`the network ${network}`]),
    ...seen.filter((place) => !place.includes(home.workspace)).map((place) => `it sees ${place}`),
  ];
}

/** Containers that are not its own: of the sandbox beside it, and what sandboxes themselves are made of. */
async function ofOthers({ lab, home }: Offered): Promise<readonly Row[]> {
  const { client } = labContext(lab);
  const create: BrokerRequest = { method: 'POST', path: '/containers/create?name=theirs', body: plain };
  const [made] = await askBroker(home, 'two', [create]);
  const theirs = (made && idIn(made)) ?? '';
  await askBroker(home, 'two', [{ method: 'POST', path: `/containers/${theirs}/start` }]);
  const all = rowsOf(await client.must('GET', '/containers/json')).map(fieldsOf);
  const labelsIn = (row: Fields | undefined): Fields => fieldsOf(row?.['Labels']);
  const mark = labelsIn(all.find(({ Id }) => Id === theirs))['casemate.engine'];
  // Of this installation alone: where the attack gets through, nobody else is harmed.
  const labelled = (part: string): string =>
    textOf(all.find((row) => labelsIn(row)['casemate.engine'] === mark && labelsIn(row)['casemate.part'] === part)?.['Id']);
  const targets = {
    theirs: 'theirs',
    'theirs by its id': theirs,
    'a keeper': labelled('keeper'),
    'a sandbox': labelled('sandbox'),
  };
  const deeds = (target: string): readonly BrokerRequest[] => [
    { method: 'GET', path: `/containers/${segment(target)}/json` },
    { method: 'GET', path: `/containers/${segment(target)}/logs?stdout=1` },
    { method: 'POST', path: `/containers/${segment(target)}/exec`, body: { Cmd: ['true'] } },
    { method: 'POST', path: `/containers/${segment(target)}/attach?stream=1&stdout=1` },
    { method: 'POST', path: `/containers/${segment(target)}/kill` },
    { method: 'POST', path: `/containers/${segment(target)}/stop?t=0` },
    { method: 'DELETE', path: `/containers/${segment(target)}?force=1` },
  ];
  const found: Row[] = [];
  for (const [what, target] of Object.entries(targets)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answers = await askBroker(home, 'one', deeds(target));
    const done = deeds(target).flatMap(({ method, path }, index) =>
      answers[index]?.status === 404 ? [] : [`${method} ${path.split(/[/?]/)[3] ?? ''}: ${answers[index]?.status ?? 0}`],
    );
    found.push(none(`what is answered of ${what}, otherwise than that there is no such container`, done, 'inside'));
  }
  const [list] = await askBroker(home, 'one', [{ method: 'GET', path: '/containers/json?all=1' }]);
  const [state] = await askBroker(home, 'two', [{ method: 'GET', path: '/containers/theirs/json' }]);
  return [
    ...found,
    none(
      'containers of others in its list',
      Object.values(targets).filter((id) => id !== '' && list?.text.includes(id)),
      'inside',
    ),
    control('its owner finds it', {
      expected: '200',
      seen: String(state?.status),
      ok: theirs !== '' && state?.status === 200,
      from: 'inside',
    }),
  ];
}

function ofBroker(row: Pick<Probe, 'title' | 'proves' | 'source'>, work: (offered: Offered) => Promise<readonly Row[]>): Probe {
  return {
    ...row,
    where: 'lab',
    profile: 'full',
    async run(lab) {
      if (lab.twin.target.plan?.engine !== 'docker') {
        return { notApplicable: 'Docker is offered inside with the engine docker alone' };
      }
      return (await labContext(lab).way()).isElsewhere
        ? { notApplicable: 'Docker is offered inside where the engine has the kernel of this host' }
        : { rows: await whereOffered(lab, work) };
    },
  };
}

export const brokerProbes: ProbeTable = {
  'broker.beyond-itself': ofBroker(
    {
      title: 'get a container from the Docker inside that has or sees more than the sandbox',
      proves: ['G1', 'G4', 'G8'],
      source: 'CIS Docker 5.4 to 5.31; CVE-2018-15664, CVE-2024-23651; brokers that filter what they pass on',
    },
    beyondItself,
  ),
  'broker.others': ofBroker(
    {
      title: 'reach containers of another sandbox, or those that sandboxes are made of, through the Docker inside',
      proves: ['G20'],
      source: 'CWE-639; ids that can be guessed or seen',
    },
    ofOthers,
  ),
};
