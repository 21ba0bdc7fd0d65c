import { engineNames, isEngineName, type PlannedEngine } from '../../base/engine-names.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { differenceHint, differenceOf, isSameChoice } from '../../engines/engine-choice.ts';
import { engineChoice, engineNamed, plannedEngines } from '../../engines/registry.ts';
import { imageStore } from '../../images/stored/store.ts';
import { chooseEngine } from '../../sandbox/making/choose-engine.ts';
import { examineHost, type HostCheck } from '../../sandbox/host/examine-host.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { dim, mark, printJson } from '../printing/output.ts';
import { daemonStatus } from '../session/daemon-status.ts';
import { proveHost } from '../session/prove-host.ts';
import { optionalPositionals, parseOptions, switchOption, textOption } from '../reading/parse-options.ts';

/**
 * `casemate doctor`: every row was tested just now. Exit code 1 if something that a start needs is missing, or a guarantee does
 * not hold.
 */
export const run: RunCommand = async (args, context, command) => {
  const parsed = parseOptions(command, args);
  optionalPositionals(parsed, []);
  const { paths, env, uid } = context;
  const runtime = textOption(parsed, 'runtime') ?? 'runc';
  if (runtime !== 'runc' && runtime !== 'crun' && runtime !== 'runsc') {
    throw new CasemateError('USAGE', `there is no runtime ${visible(runtime)}`, { hint: 'Runtimes: runc, crun, runsc.' });
  }
  const asked = textOption(parsed, 'engine');
  // Where nobody says which, it is the one that a start would use.
  const { engine: name, engineWhy } =
    asked === undefined
      ? await chooseEngine(
          plannedEngines({ paths, env, uid }, () => undefined),
          { engine: 'oci', runtime, docker: undefined, origins: {} },
        )
      : { engine: engineNameOf(asked) };
  const chosen: readonly HostCheck[] =
    engineWhy === undefined || name === 'oci' ? [] : [{ check: 'engine', verdict: 'ok', detail: `${name}: ${engineWhy}` }];
  const engines = {
    oci: await engineNamed('oci', { paths, env, uid }),
    podman: await engineNamed('podman', { paths, env, uid }),
    docker: await engineNamed('docker', { paths, env, uid }),
  };
  const images = imageStore({ folder: paths.images });
  const examined = await examineHost({ engines, engine: name, images, env, uid, runtime, paths });
  const elsewhere = await enginesOfDaemon(context, name);
  const proof = switchOption(parsed, 'layers') ? [] : await proveHost(context, { runtime, checks: examined });
  const checks = [...chosen, ...examined, ...elsewhere, ...proof];
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, checks);
  } else {
    print(context, checks);
  }
  return checks.some((row) => row.verdict === 'missing') ? 1 : 0;
};

/** Sandboxes are made by the daemon: where it uses another engine than the one that was examined here, that is said. */
async function enginesOfDaemon(context: CommandContext, needed: PlannedEngine): Promise<readonly HostCheck[]> {
  const status = await daemonStatus(context);
  const rows = await Promise.all(
    engineNames.map(async (name): Promise<readonly HostCheck[]> => {
      const [used, meant] = [status?.engines?.[name], await engineChoice(name, context)];
      return used === undefined || meant === undefined || isSameChoice(used, meant)
        ? []
        : [
            {
              check: `${name} of the daemon`,
              verdict: name === needed ? 'missing' : 'absent',
              detail: `${differenceOf(name, used, meant)}. ${differenceHint}`,
            },
          ];
    }),
  );
  return rows.flat();
}

function engineNameOf(text: string): PlannedEngine {
  if (!isEngineName(text)) {
    throw new CasemateError('USAGE', `there is no engine ${visible(text)}`, { hint: `Engines: ${engineNames.join(', ')}.` });
  }
  return text;
}

function print({ stdout, paths }: CommandContext, checks: readonly HostCheck[]): void {
  const width = Math.max(...checks.map(({ check }) => check.length));
  for (const { check, verdict, detail } of checks) {
    const sign = mark(stdout, verdict === 'ok' ? 'yes' : verdict === 'missing' ? 'no' : 'unknown');
    stdout.write(`${sign} ${check.padEnd(width)}  ${visible(detail)}\n`);
  }
  stdout.write(`${dim(stdout, `state ${paths.state}  images ${paths.images}`)}\n`);
}
