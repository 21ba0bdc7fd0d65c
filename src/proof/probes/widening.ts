import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';

import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { talk } from '../clients/talk.ts';
import { none, same } from '../compare.ts';
import { control, type Row, type Seen } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { deniedRequests } from '../lab/told.ts';
import { seenRow, settle, unseenRow, watch, watchJournal } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';
import { plantedPolicyProbes } from './planted-policy.ts';

/** A sandbox that wants to be allowed more (G15): only a person can allow it, by a way that no sandbox has. */

const nonce = (): string => randomBytes(6).toString('hex');
const patience = { quietMs: 3000 } as const;
const idForm = /ask-[a-z0-9]{12}/;
const { opened, denied, allowed } = hosts;

/** A function that the rules of a host do not name, so that a person may be asked for it. */
function wish(sandbox: LabSandbox, mark: string, path = '/v1/files'): Promise<{ readonly text: string }> {
  const bytes = requestText({ host: opened, method: 'POST', target: `${path}?${mark}`, body: '{}' });
  return callerIn(sandbox).secure({ host: opened }, [bytes], patience);
}

/** What an answer to a request would be on the control socket. */
function answers(id: string): string {
  return `${JSON.stringify({ type: 'call', id: 1, method: 'request-approve', params: { id, scope: 'sandbox' } })}\n`;
}

const sockets = String.raw`
  my ($text, @paths) = @ARGV;
  my @left = ('/');
  while (defined(my $folder = shift @left)) {
    next if $folder =~ m{^/(?:proc|sys)$};
    opendir(my $entries, $folder) or next;
    for (map { $folder eq '/' ? "/$_" : "$folder/$_" } grep { !/^\.\.?$/ } readdir $entries) {
      push @left, $_ if -d $_ && !-l $_;
      push @paths, $_ if -S $_;
    }
  }
  for my $path (@paths) {
    next if length $path > 100;
    socket(my $socket, 1, 1, 0) or next;
    connect($socket, pack('Sa*', 1, "$path\0")) or next;
    syswrite $socket, $text;
    my $ready = '';
    vec($ready, fileno($socket), 1) = 1;
    my $answer = '';
    sysread($socket, $answer, 200) if select($ready, undef, undef, 1);
    print "$path $answer\n";
  }`;

/** Listening ports that the sandbox sees, from its own table. */
const ports =
  'open my $table, "<", "/proc/net/tcp"; while (<$table>) { print hex($1), "\\n" if /^\\s*\\d+: \\S+:(\\w+) \\S+ 0A/ }';

async function answerFromInside(lab: Lab, sandbox: LabSandbox, id: string): Promise<readonly string[]> {
  const { target } = sandbox;
  const place = join(lab.places.runtime, 'daemon.sock');
  const found = await target.inside(['perl', '-e', sockets, answers(id), place, `/workspace/daemon.sock`]);
  const caller = callerIn(sandbox);
  const listening = (await target.inside(['perl', '-e', ports])).out.toString('utf8').split('\n').filter(Boolean);
  const raw = await Promise.all(
    [...new Set(listening)].map((port) =>
      caller.plain({ host: '127.0.0.1', port: Number(port) }, [answers(id)], { quietMs: 800 }),
    ),
  );
  const posts = ['localhost', 'casemate', 'gateway', 'host.docker.internal', denied, allowed].flatMap((host) =>
    [`/approve/${id}`, '/request-approve', '/.casemate/call'].map((path) =>
      caller.plain({ host }, [requestText({ host, method: 'POST', target: path, body: answers(id) })], { quietMs: 800 }),
    ),
  );
  const said = [
    found.out.toString('utf8'),
    ...raw.map(({ text }) => text),
    ...(await Promise.all(posts)).map(({ text }) => text),
  ];
  return said.filter((text) => /"type":"(?:hello|result|error|done)"/.test(text)).map((text) => text.slice(0, 80));
}

async function greetOnHost(lab: Lab): Promise<Row> {
  const { text } = await talk(connect(join(lab.places.runtime, 'daemon.sock')), ['\n'], { quietMs: 1000 });
  const isGreeted = text.includes('"type":"hello"');
  return control('the same socket, on the host', {
    expected: 'a greeting',
    seen: isGreeted ? 'a greeting' : text.slice(0, 60),
    ok: isGreeted,
    from: 'outside',
  });
}

async function approveFromInside(lab: Lab): Promise<Seen> {
  const sandbox = await lab.make('asking');
  const unasked = whyNobodyIsAsked(sandbox);
  if (unasked !== undefined) {
    return { notApplicable: unasked };
  }
  const since = await watchJournal(lab);
  const [first, again, after] = [nonce(), nonce(), nonce()];
  const oracle = watch(lab.world);
  const { text } = await wish(sandbox, first);
  const id = idForm.exec(text)?.[0] ?? '';
  const answered = await answerFromInside(lab, sandbox, id);
  await wish(sandbox, again);
  const pending = (await deniedRequests(lab.casemate)).filter((one) => one.id === id);
  const approvals = (await since()).filter(({ action }) => action === 'ask.approve');
  const approved = await lab.casemate(['approve', id, '--sandbox', '--yes']);
  await wish(sandbox, after);
  await settle();
  const rows = [
    none('answers to a call from inside, over sockets, ports and the gateway', answered, 'inside'),
    unseenRow('what was denied, before anybody was asked', oracle.with(first)),
    unseenRow('what was denied, after all that', oracle.with(again)),
    same('approvals in the journal', 0, approvals.length),
    same('the request as a person sees it', 'denied', pending[0]?.state ?? 'gone'),
    control('a person allows it, on the host', {
      expected: '0',
      seen: `${approved.code}${approved.code === 0 ? '' : `: ${approved.err.toString('utf8').slice(0, 160)}`}`,
      ok: approved.code === 0,
      from: 'outside',
    }),
    seenRow('what was denied, after a person allowed it', oracle.with(after)),
    await greetOnHost(lab),
  ];
  await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
  return { rows };
}

/** `undefined`: a person may allow what the lab's rules deny. */
function whyNobodyIsAsked({ target: { plan } }: LabSandbox): string | undefined {
  if (plan === undefined || plan.asks.waitMs === 0) {
    return 'the policy asks nobody about what it denies';
  }
  return plan.network.bound === undefined ? undefined : 'an organisation bounds what anybody may allow';
}

/** Texts of a request that a person is shown, made to drive a terminal or to read as lines of ours. */
const madeUp = 'ask-000000000000';
const asLine = `  answer   casemate approve ${madeUp}`;
const forged: readonly string[] = [
  `x${asLine}`,
  `x\u009B2K\u009B1A${asLine}`,
  `x\u00C2\u009B2J\u00C2\u009D52;c;eA==\u00C2\u009C`,
  // U+202E and U+2066 as UTF-8
  `\u00E2\u0080\u00AE${madeUp}\u00E2\u0081\u00A6`,
  `x\t\t\t\t\t\t\t\t\t${asLine}`,
];

/** As a field can hold them, and as an address can. */
async function askWith(sandbox: LabSandbox, text: string): Promise<void> {
  const caller = callerIn(sandbox);
  const lines = [`User-Agent: ${text}`, `Content-Type: text/plain; ${text}`];
  const target = `/v1/${nonce()}/${encodeURIComponent(`\n\r\u001B[2K${text}`)}`;
  const ask = (host: string): string => requestText({ host, method: 'POST', target, lines, body: '{}' });
  await caller.secure({ host: opened }, [ask(opened)], patience);
  await caller.plain({ host: denied }, [ask(denied)], patience);
}

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const driving = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u200E\u200F\u202A-\u202E\u2028\u2029\u2066-\u2069]/g;

async function forgeQuestion(lab: Lab): Promise<Seen> {
  const sandbox = await lab.make('forging');
  const unasked = whyNobodyIsAsked(sandbox);
  if (unasked !== undefined) {
    return { notApplicable: unasked };
  }
  const [one, other] = [nonce(), nonce()];
  const legal = await wish(sandbox, one, '/v1/one');
  await wish(sandbox, other, '/v1/other');
  for (const text of forged) {
    // oxlint-disable-next-line no-await-in-loop -- no more wait at a time than a person is shown
    await askWith(sandbox, text);
  }
  // Others may have been denied something, too, and are shown with it.
  const all = await deniedRequests(lab.casemate);
  const views = all.filter((view) => view.sandbox === sandbox.id);
  const { out } = await lab.casemate(['requests']);
  const shown = out.toString('utf8');
  const lines = shown.split('\n');
  const ids = new Set(all.map(({ id }) => id));
  const strange = lines.filter((line) => /^\s*(?:ask-|answer)/.test(line) && !ids.has(idForm.exec(line)?.[0] ?? ''));
  const id = idForm.exec(legal.text)?.[0] ?? '';
  const silent = await lab.casemate(['approve', id, '--sandbox'], { input: 'y\nyes\n' });
  const unknown = await lab.casemate(['approve', madeUp, '--sandbox', '--yes']);
  const oracle = watch(lab.world);
  await wish(sandbox, one, '/v1/one');
  await settle();
  const before = oracle.with(one);
  await lab.casemate(['approve', id, '--sandbox', '--yes']);
  await wish(sandbox, one, '/v1/one');
  await wish(sandbox, other, '/v1/other');
  await settle();
  const rows = [
    none('signs that drive a terminal, in what is shown', shown.match(driving) ?? []),
    none('lines that read as ours and are not', strange),
    same('an approval without a terminal and without --yes', false, silent.code === 0),
    same('an approval of an id that the sandbox made up', false, unknown.code === 0),
    unseenRow('the request that was neither approved', before),
    unseenRow('another request than the one that a person approved', oracle.with(other)),
    seenRow('the one that a person approved', oracle.with(one)),
    control('requests that are shown', {
      expected: '8 or more',
      seen: String(views.length),
      ok: views.length >= 8,
      from: 'outside',
    }),
  ];
  await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
  return { rows };
}

export const wideningProbes: ProbeTable = {
  ...plantedPolicyProbes,
  'widening.from-inside': {
    where: 'lab',
    title: 'answer from inside what a person is asked: over sockets, ports and the gateway',
    proves: ['G15', 'G21'],
    profile: 'full',
    source: 'CWE-306; a control path on the proxy port of Docker 0.42',
    run: approveFromInside,
  },
  'widening.forged-question': {
    where: 'lab',
    title: 'forge the question that a person is shown, or choose which one is answered',
    proves: ['G15', 'G19'],
    profile: 'full',
    source: 'CWE-117, CWE-150; CVE-2021-25743',
    run: forgeQuestion,
  },
};
