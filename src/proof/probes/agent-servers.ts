import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';

import { relayCommand, relayHost } from '../../agents/mcp-relay.ts';
import { callerIn, type Caller } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none, same } from '../compare.ts';
import { attack, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { openCaller, type LabCaller } from '../lab/lab-caller.ts';
import { createRelay, relayCommand as throughCommand } from '../lab/relay.ts';
import { listed } from '../lab/told.ts';
import { seenRow, settle, unseenRow, watch } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * An agent's server that has a list of hosts and was written by someone else (A2): it runs in its own sandbox, and reaches only
 * what its list names of the policy. The result of each attempt is checked outside.
 */

export const agentServerProbes: ProbeTable = {
  'servers.own-hosts': {
    where: 'lab',
    title: 'reach hosts of the session from a server of its agent that has a list of its own',
    proves: ['G10', 'G15'],
    profile: 'full',
    source: 'CWE-441; servers of the Model Context Protocol that share the network of whoever started them',
    async run(lab) {
      const project = join(lab.folder, 'work-servers/project');
      await mkdir(project, { recursive: true });
      await lab.give(project);
      const caller = await openCaller(lab, 'servers', join(lab.folder, 'work-servers'));
      try {
        const sessionId = await makeSession(caller, project, hosts.judged);
        const companion = (await companions(lab))[0] ?? 'none';
        const rows = [
          ...(await placeRows(lab, { caller, sessionId, companion })),
          ...(await reachRows(lab, companion)),
          await tooMuchRow(caller, project),
        ];
        await caller.call('destroy_session', { sessionId });
        return { rows: [...rows, none('sandboxes of servers whose session is gone', await companions(lab))] };
      } finally {
        caller.close();
      }
    },
  },
};

/** In each home lies another word. With gVisor the name of the host is the same for all. */
const wordFile = '/home/agent/.where';

/** Its program says where it runs, and ends with its input. */
const server = { command: 'sh', args: ['-c', `cat ${wordFile}; cat > /dev/null`] };

async function create(caller: LabCaller, projectPath: string, host: string) {
  const mcpServers = { tried: { ...server, network_isolation: [host] } };
  const apiKey = `sk-ant-api03-${randomBytes(24).toString('hex')}`;
  return await caller.call('create_session', { projectPath, agent: 'claude', apiKey, mcpConfig: { mcpServers } });
}

async function makeSession(caller: LabCaller, projectPath: string, host: string): Promise<string> {
  const { refused, result } = await create(caller, projectPath, host);
  if (refused !== undefined) {
    throw new Error(`no session with a server: ${refused.slice(0, 300)}`);
  }
  return String(result['sessionId']);
}

/** Names of the sandboxes that are for servers. */
async function companions({ casemate }: Lab): Promise<readonly string[]> {
  return (await listed(casemate)).filter(({ serves }) => serves !== undefined).map(({ name }) => name);
}

interface Place {
  readonly caller: LabCaller;
  readonly sessionId: string;
  readonly companion: string;
}

/** By the way that an agent takes: the home there says which sandbox answers. */
async function placeRows(lab: Lab, { caller, sessionId, companion }: Place): Promise<readonly Row[]> {
  const word = randomBytes(6).toString('hex');
  const placed = ['sh', '-c', `echo "$1" > ${wordFile}`, 'sh'];
  await lab.casemate(['exec', companion, '--no-tty', '--', ...placed, word]);
  await caller.call('execute_command', { sessionId, command: [...placed, 'the-session'] });
  const relay = relayCommand(relayHost(0));
  const { result } = await caller.call('execute_command', { sessionId, command: [relay.command, ...relay.args], input: '' });
  const own = await caller.call('execute_command', { sessionId, command: ['cat', wordFile] });
  const session = String(own.result['stdout']).trim();
  return [
    same('where the server runs', word, String(result['stdout']).trim()),
    attack('the session and its server', {
      expected: 'in two sandboxes',
      seen: session === word ? 'in one' : 'in two sandboxes',
      ok: session === 'the-session',
      from: 'outside',
    }),
  ];
}

async function reachRows(lab: Lab, companion: string): Promise<readonly Row[]> {
  const { from, to, end } = lab.open(['exec', companion, '--no-tty', '--', ...(await throughCommand())]);
  const relay = createRelay(from, to);
  try {
    const [inServer, inSession] = [callerIn({ connect: relay.connect }), callerIn(lab.twin)];
    const oracle = watch(lab.world);
    const own = await ask(inServer, hosts.judged);
    const others = [
      ['a host of the session, in clear', await ask(inServer, hosts.allowed, 'plain')],
      ['a host of the session', await ask(inServer, hosts.allowed)],
      ['a host with a key of the session', await ask(inServer, hosts.opened)],
      ['a host below a wildcard of the session', await ask(inServer, `x.${hosts.wild}`)],
      ['a host that nobody allows', await ask(inServer, hosts.denied)],
    ] as const;
    const session = await ask(inSession, hosts.allowed);
    await settle();
    return [
      seenRow('the host of its list', oracle.with(own)),
      ...others.map(([what, mark]) => unseenRow(what, oracle.with(mark))),
      seenRow('the same host, asked by the session', oracle.with(session)),
    ];
  } finally {
    relay.close();
    end();
  }
}

/** One request with a mark of its own, which it gives back. */
async function ask(caller: Caller, host: string, way: 'plain' | 'secure' = 'secure'): Promise<string> {
  const mark = randomBytes(6).toString('hex');
  const target = host === hosts.opened ? `/v1/echo?${mark}` : `/?${mark}`;
  await caller[way]({ host }, [requestText({ host, target })], { quietMs: 400 });
  return mark;
}

async function tooMuchRow(caller: LabCaller, project: string): Promise<Row> {
  const { refused, result } = await create(caller, project, hosts.denied);
  if (refused === undefined) {
    await caller.call('destroy_session', { sessionId: String(result['sessionId']) });
  }
  return attack('a server whose list names a host that the policy does not allow', {
    expected: 'refused',
    seen: refused === undefined ? 'done' : `refused: ${refused.split('\n')[0]?.slice(0, 100)}`,
    ok: refused?.includes('POLICY_WIDENS') === true,
    from: 'outside',
  });
}
