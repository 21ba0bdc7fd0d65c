import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { hostileBytes, hostileText } from '../attacks/hostile-text.ts';
import { oddNames } from '../attacks/names.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { control, type Row } from '../finding.ts';
import type { RunInside } from '../inside/observe.ts';
import { attackInside } from '../lab/attack-inside.ts';
import { holdCommand } from '../lab/held-command.ts';
import { hosts } from '../lab/hosts.ts';
import type { CasemateOptions, Lab, LabSandbox } from '../lab/lab.ts';
import { deniedRequests } from '../lab/told.ts';
import { drivingPieces } from '../outside/driving.ts';
import type { ProbeTable } from '../probe.ts';
import type { Inside } from '../target.ts';

/**
 * Whether what Casemate prints controls the terminal of the person who runs it (G19): every command that shows something of a
 * sandbox, at a terminal, after the sandbox put hostile text wherever it can. What the agent prints passes through unchanged;
 * that is the agent's own.
 */

export const terminalProbes: ProbeTable = {
  'terminal.own-lines': {
    where: 'lab',
    title: 'drive the terminal through what is shown of commands, requests, names, logs and records',
    proves: ['G19'],
    profile: 'full',
    source: 'CWE-150; CVE-2021-42574; OSC 52 in logs, CVE-2022-0811 class of hostile names',
    async run(lab) {
      const sandbox = await lab.make('terminal');
      const mark = `m${randomBytes(6).toString('hex')}`;
      const rows = [await passedRow(lab, sandbox, mark)];
      const ended = await plant(lab, sandbox, mark);
      rows.push(...shownRows('the end of a command', ended, mark, canWrite(sandbox)));
      rows.push(...(await surfaceRows(lab, sandbox, mark)), ...(await projectRows(lab, mark)));
      await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
      return { rows };
    },
  },
};

const canWrite = ({ target }: LabSandbox): boolean => target.plan?.workspace.mode !== 'readonly';

/** Without colours, so that every escape that is shown is somebody else's. */
const env = { NO_COLOR: '1', TERM: 'xterm' };

const atTerminal = (lab: Lab, args: readonly string[], more: Pick<CasemateOptions, 'cwd' | 'input'> = {}) =>
  lab.casemate(args, { ...more, env, atTerminal: true });

/** What a command prints is its own: this is what would be seen of the rest, too. */
async function passedRow(lab: Lab, { name }: LabSandbox, mark: string): Promise<Row> {
  const { out } = await atTerminal(lab, ['exec', name, '--', 'printf', '%s', hostileText(mark)]);
  const pieces = drivingPieces(out);
  return control('what a command prints, at a terminal', {
    expected: 'passes through and is seen',
    seen: pieces.length > 4 ? 'passes through and is seen' : `${pieces.length} escapes`,
    ok: pieces.length > 4,
    from: 'outside',
  });
}

/** Hands back what was shown at the end of the command that made repositories. */
async function plant(lab: Lab, sandbox: LabSandbox, mark: string): Promise<Inside> {
  const { target, name } = sandbox;
  const text = hostileText(mark);
  const bytes = hostileBytes(mark);
  const given = [text, '/workspace', hosts.denied];
  await Promise.all([
    target.inside(['printf', '%s\\n', text]),
    target.inside(['perl', '-e', 'print pack("H*", $ARGV[0]), "\\n"', bytes.toString('hex')]),
    attackInside(target.inside, { file: 'terminal', given, questions: ['ask_as', 'name_program'] }),
    askFor(sandbox, mark, [text, bytes.toString('latin1')]),
  ]);
  const shown = Promise.withResolvers<Inside>();
  const inside: RunInside = async (command) => {
    const ended = atTerminal(lab, ['exec', name, '--', ...command]);
    shown.resolve(ended);
    return await ended;
  };
  await attackInside(inside, { file: 'terminal', given, questions: ['make_repositories'] });
  return await shown.promise;
}

/** Names, targets, methods and hosts in requests. What comes of them is not the question here. */
async function askFor(sandbox: LabSandbox, mark: string, words: readonly string[]): Promise<void> {
  const { plain, secure } = callerIn(sandbox);
  const quick = { quietMs: 300 };
  const odd = oddNames({ wild: hosts.wild, denied: hosts.denied, mark }).slice(0, 8);
  await Promise.all([
    ...odd.map((host) => plain({ host }, [requestText({ host })], quick)),
    ...words.flatMap((word) => [
      plain({ host: hosts.allowed }, [requestText({ host: hosts.allowed, target: `/${word}` })], quick),
      plain({ host: hosts.allowed }, [requestText({ host: word })], quick),
      secure({ host: hosts.opened }, [
        requestText({ host: hosts.opened, method: 'DELETE', target: `/${encodeURIComponent(word)}` }),
      ]),
    ]),
  ]);
}

/** Attack: nothing of it drives. Where it must be shown: that it is, made visible. */
function shownRows(what: string, { out, err }: Inside, mark: string, isShown: boolean): readonly Row[] {
  const all = Buffer.concat([out, err]);
  const isThere = new RegExp(`${mark}\\\\+(?:x1b|x9b|u001b|u009b)`).test(all.toString('utf8'));
  return [
    none(`escapes in ${what}`, drivingPieces(all)),
    ...(isShown
      ? [
          control(what, {
            expected: 'shows the text',
            seen: isThere ? 'shows the text' : 'does not',
            ok: isThere,
            from: 'outside' as const,
          }),
        ]
      : []),
  ];
}

interface Surface {
  readonly args: readonly string[];
  /** it has a reason to show the text */
  readonly isShown: boolean;
  readonly input?: string | undefined;
}

async function surfaceRows(lab: Lab, sandbox: LabSandbox, mark: string): Promise<readonly Row[]> {
  const { name } = sandbox;
  const text = hostileText(mark);
  const held = holdCommand(sandbox, ([, ...words]) => sandbox.target.inside([`/tmp/${text}`, ...words]));
  const id = await requestOf(lab, sandbox, mark);
  const showing = (...args: readonly string[]): Surface => ({ args, isShown: true });
  const other = (...args: readonly string[]): Surface => ({ args, isShown: false });
  const surfaces: readonly Surface[] = [
    showing('inspect', name),
    showing('inspect', name, '--json'),
    showing('logs', name),
    showing('logs', name, '--json'),
    showing('requests'),
    showing('requests', '--json'),
    showing('journal', 'tail', '--lines', '400'),
    showing('journal', 'query', '--sandbox', name, '--json'),
    showing('journal', 'export', '--format', 'csv'),
    showing('inspect', text),
    showing('inspect', text, '--json'),
    other('ls'),
    other('stats', name),
    other('journal', 'verify'),
    other('policy', 'propose', '--from-journal', name),
    other('policy', 'propose', '--request', id),
    other('destroy', name, '--dry-run'),
    other('exec', name, '--', text),
    { args: ['approve', id, '--sandbox'], isShown: true, input: 'n\n' },
    other('deny', id),
  ];
  const rows: Row[] = [];
  for (const { args, isShown, input } of surfaces) {
    const what = `casemate ${args.map((word) => (word === text ? 'TEXT' : word)).join(' ')}`;
    // oxlint-disable-next-line no-await-in-loop -- one terminal after the other
    rows.push(...shownRows(what, await atTerminal(lab, args, { input }), mark, isShown));
  }
  await held.release();
  return rows;
}

/** The denied request whose program calls itself so; also waits for the held command to run. */
async function requestOf(lab: Lab, { name }: LabSandbox, mark: string): Promise<string> {
  await eventually(async () => {
    const { out } = await lab.casemate(['inspect', name, '--json']);
    return out.toString('utf8').includes(mark) ? true : undefined;
  });
  const views = await deniedRequests(lab.casemate);
  return views.find(({ program }) => program?.includes(mark))?.id ?? 'ask-none';
}

/** A project whose folder, policy and names are as hostile as a sandbox can make them. */
async function projectRows(lab: Lab, mark: string): Promise<readonly Row[]> {
  const folder = join(lab.folder, `work-${hostileText(mark)}`);
  await mkdir(folder, { recursive: true });
  const escaped = JSON.stringify(hostileText(mark));
  const files = [
    `version: 1\nnetwork:\n  - host: ${escaped}\n`,
    `version: 1\n${escaped}: 1\n`,
    `version: 1\nimage: ${escaped}\n`,
    `version: 1\nnetwork:\n  - host: x.example\n    allow: [${escaped}]\n`,
    `version: 1\nenv: { A: ${escaped} }\n${hostileText(mark)}`,
  ];
  const rows: Row[] = [];
  for (const [index, text] of files.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other in the same place
    await writeFile(join(folder, 'casemate.yaml'), text);
    for (const args of index === 0 ? [['plan'], ['policy', 'trust'], ['policy', 'check', '--json']] : [['policy', 'check']]) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      const shown = await atTerminal(lab, args, { cwd: folder, input: 'n\n' });
      rows.push(...shownRows(`casemate ${args.join(' ')} with hostile policy ${index + 1}`, shown, mark, index === 0));
    }
  }
  return rows;
}
