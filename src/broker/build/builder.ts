import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { Readable } from 'node:stream';

import { visible } from '../../base/text.ts';
import type { Instruction } from '../../engines/containers.ts';
import { findImage } from '../find-image.ts';
import type { BrokerParts } from '../parts.ts';
import { malformed, notOffered } from '../refusal.ts';
import { nothingYet, settingsOf, stateOfImage, type ImageState } from './image-state.ts';
import { expander, pairs, words, type Expand, type Line } from './parse-dockerfile.ts';
import type { Context } from './read-context.ts';
import { runStep } from './run-step.ts';

/**
 * Carries out a Dockerfile step by step. Steps that run something run in a container of the sandbox; for the others the engine's
 * builder gets instructions that are written here. Every file and step belongs to the agent: there is no one else inside.
 */

export interface BuildRequest {
  readonly lines: readonly Line[];
  readonly context: Context;
  /** the checked archive; `undefined`: nothing came with it */
  readonly file: string;
  readonly args: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** stage to end with; empty: the last */
  readonly target: string;
  readonly signal: AbortSignal;
  /** Resolves when more can be said. */
  readonly say: (text: string) => Promise<void>;
  /** images on the way, which go when the build has ended */
  readonly passing: string[];
}

interface Stage {
  state: ImageState;
  readonly name: string;
  /** declared in it, with their values */
  readonly args: Map<string, string>;
  pending: Instruction[];
}

/** Id of the image. Throws a refusal. */
export async function build(parts: BrokerParts, request: BuildRequest): Promise<string> {
  const { lines, say, target } = request;
  const first = new Map<string, string>();
  const done: { readonly name: string; readonly image: string }[] = [];
  const told = (line: Line): Promise<void> => say(`Step ${lines.indexOf(line) + 1}/${lines.length} : ${line.shown}\n`);
  const expand = expander();
  const [head, ...stages] = stagesOf(lines);
  for (const line of head ?? []) {
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await told(line);
    declareFirst(line, { first, given: request.args, expand });
  }
  for (const own of stages) {
    // oxlint-disable-next-line no-await-in-loop -- one stage after the other
    const stage = await carryOutStage(parts, { request, own, first, done, told, expand });
    done.push(stage);
    if (target !== '' && stage.name === target) {
      break;
    }
  }
  const last = done.at(-1);
  if (last === undefined || (target !== '' && last.name !== target)) {
    throw malformed(
      last === undefined ? 'the Dockerfile has no FROM' : `failed to reach build target ${visible(target).slice(0, 64)}`,
    );
  }
  return last.image;
}

/** What stands before the first FROM, and then one list for each of them. */
function stagesOf(lines: readonly Line[]): readonly (readonly Line[])[] {
  const stages: Line[][] = [[]];
  for (const line of lines) {
    if (line.word === 'FROM') {
      stages.push([]);
    }
    stages.at(-1)?.push(line);
  }
  return stages;
}

interface StageWork {
  readonly request: BuildRequest;
  readonly own: readonly Line[];
  readonly first: ReadonlyMap<string, string>;
  readonly done: Done;
  readonly told: (line: Line) => Promise<void>;
  readonly expand: Expand;
}

async function carryOutStage(parts: BrokerParts, { request, own, first, done, told, expand }: StageWork): Promise<Done[number]> {
  const [from, ...rest] = own;
  if (from === undefined) {
    throw malformed('the Dockerfile has no FROM');
  }
  await told(from);
  const stage = await begin(parts, from, { first, done, expand });
  for (const line of rest) {
    request.signal.throwIfAborted();
    // oxlint-disable-next-line no-await-in-loop -- as below
    await told(line);
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await carryOut(parts, { request, stage, done, first, expand }, line);
    requireFew(stage);
  }
  return { name: stage.name, image: await finish(parts, request, stage) };
}

type Done = readonly { readonly name: string; readonly image: string }[];

async function begin(
  parts: BrokerParts,
  line: Line,
  { first, done, expand }: Pick<StageWork, 'first' | 'done' | 'expand'>,
): Promise<Stage> {
  const found = /^(\S+)(?:\s+as\s+([a-z][\w.-]*))?$/i.exec(expand(line.rest, first));
  if (found === null) {
    throw malformed('FROM takes an image and, behind AS, a name');
  }
  const [, from = '', name = ''] = found;
  const state =
    from === 'scratch'
      ? nothingYet
      : await stateFrom(parts, done.find((stage) => stage.name === from && from !== '')?.image ?? from);
  return { state, name: name.toLowerCase(), args: new Map(), pending: [] };
}

async function stateFrom(parts: BrokerParts, reference: string): Promise<ImageState> {
  const { id } = await findImage(parts, reference);
  return stateOfImage(id, await parts.containers.images.inspect(id));
}

function declareFirst(
  { word, rest }: Line,
  {
    first,
    given,
    expand,
  }: { readonly first: Map<string, string>; readonly given: ReadonlyMap<string, string>; readonly expand: Expand },
): void {
  if (word !== 'ARG') {
    throw malformed('no build stage in current context: FROM comes first');
  }
  const [name, value] = argumentOf(expand(rest, first));
  first.set(name, given.get(name) ?? value ?? '');
}

function argumentOf(rest: string): readonly [string, string | undefined] {
  const [word = ''] = words(rest);
  const at = word.indexOf('=');
  const name = at < 0 ? word : word.slice(0, at);
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    throw malformed(`${visible(name).slice(0, 64)} is not the name of a variable`);
  }
  return [name, at < 0 ? undefined : word.slice(at + 1)];
}

interface Work {
  readonly request: BuildRequest;
  readonly stage: Stage;
  readonly done: Done;
  readonly first: ReadonlyMap<string, string>;
  readonly expand: Expand;
}

/** of variables, arguments, labels, ports and volumes: all of them are taken along from step to step */
const mostOfEach = 1024;

function requireFew({ state: { env, labels, exposed, volumes }, args }: Stage): void {
  if (Math.max(env.size, labels.size, args.size, exposed.length, volumes.length) > mostOfEach) {
    throw notOffered('limits', `an image has no more than ${mostOfEach} variables, labels, ports or volumes`);
  }
}

async function carryOut(parts: BrokerParts, work: Work, line: Line): Promise<void> {
  const { request, stage, expand } = work;
  const variables = new Map([...stage.args, ...stage.state.env]);
  const set = (change: Partial<ImageState>): void => void (stage.state = { ...stage.state, ...change });
  switch (line.word) {
    case 'RUN':
      await run(parts, work, line);
      return;
    case 'COPY':
    case 'ADD':
      copy(work, { line, variables });
      return;
    case 'WORKDIR': {
      const workingDir = posix.resolve(stage.state.workingDir, expand(line.rest, variables));
      stage.pending.push(...(workingDir === '/' ? [] : [{ kind: 'folder', path: workingDir } as const]));
      return set({ workingDir });
    }
    case 'ARG': {
      const [name, value] = argumentOf(expand(line.rest, variables));
      stage.args.set(name, request.args.get(name) ?? value ?? work.first.get(name) ?? '');
      return;
    }
    default:
      set(settingOf(line, { state: stage.state, variables, expand }));
  }
}

/** Of instructions that only say something about the image. */
function settingOf(
  line: Line,
  {
    state,
    variables,
    expand,
  }: { readonly state: ImageState; readonly variables: ReadonlyMap<string, string>; readonly expand: Expand },
): Partial<ImageState> {
  const { word, rest, list } = line;
  const texts = (): readonly string[] => list ?? words(expand(rest, variables));
  const command = (): readonly string[] => list ?? [...state.shell, rest];
  switch (word) {
    case 'ENV':
      return {
        env: new Map([
          ...state.env,
          ...pairs(expand(rest, variables)).map(([name, value]) => [variableName(name), value] as const),
        ]),
      };
    case 'LABEL':
      return {
        labels: new Map([
          ...state.labels,
          ...pairs(expand(rest, variables)).map(([name, value]) => [labelName(name), value] as const),
        ]),
      };
    case 'CMD':
      return { command: command() };
    case 'ENTRYPOINT':
      return { entrypoint: command(), command: [] };
    case 'SHELL':
      return { shell: requireList(list) };
    case 'EXPOSE':
      return { exposed: [...new Set([...state.exposed, ...texts().map(portOf)])] };
    case 'VOLUME':
      return { volumes: [...new Set([...state.volumes, ...texts()])] };
    case 'USER':
      return { user: expand(rest, variables).slice(0, 128) };
    case 'STOPSIGNAL':
      return { stopSignal: expand(rest, variables).slice(0, 32) };
    case 'MAINTAINER':
      return {};
    default:
      throw notOffered('docker.build', `${word} is not offered in a build; a container may be given one when it is made`);
  }
}

function requireList(list: readonly string[] | undefined): readonly string[] {
  if (list === undefined || list.length === 0) {
    throw malformed('SHELL takes a JSON list');
  }
  return list;
}

function variableName(name: string): string {
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    throw malformed(`${visible(name).slice(0, 64)} is not the name of a variable`);
  }
  return name;
}

/** Labels that mean something to this program are not a sandbox's to write. */
function labelName(name: string): string {
  if (name.toLowerCase().startsWith('casemate.')) {
    throw notOffered('confinement', `the label ${visible(name).slice(0, 64)} is not offered`);
  }
  return name;
}

function portOf(port: string): string {
  if (!/^\d{1,5}(?:\/(?:tcp|udp|sctp))?$/.test(port)) {
    throw malformed(`${visible(port).slice(0, 32)} is not a port`);
  }
  return port;
}

async function run(parts: BrokerParts, work: Work, { flags, rest, list }: Line): Promise<void> {
  const { request, stage } = work;
  const [flag] = Object.keys(flags);
  if (flag !== undefined) {
    throw notOffered(
      'docker.build',
      `RUN --${flag} needs BuildKit, which is not offered: no cache, secret or network of the host comes into a build`,
    );
  }
  await flush(parts, request, stage);
  const { state } = stage;
  if (state.image === undefined) {
    throw malformed('there is nothing in the image yet that could run');
  }
  // Arguments are for the step alone: what is set as a variable of the container would stay in the image.
  const named = [...stage.args]
    .filter(([name]) => !state.env.has(name))
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'\n`);
  const command = list ?? [...state.shell, `${named.join('')}${rest}`];
  const image = await runStep(parts, {
    state: { ...state, image: state.image },
    command,
    signal: request.signal,
    say: request.say,
  });
  request.passing.push(image);
  stage.state = { ...state, image };
}

function copy(
  { request, stage, done, expand }: Work,
  { line, variables }: { readonly line: Line; readonly variables: ReadonlyMap<string, string> },
): void {
  const { word, flags, rest, list } = line;
  const unknown = Object.keys(flags).find((flag) => flag !== 'chown' && !(flag === 'from' && word === 'COPY'));
  if (unknown !== undefined) {
    throw notOffered('docker.build', `${word} --${unknown} needs BuildKit, which is not offered`);
  }
  const all = (list ?? words(rest)).map((text) => expand(text, variables));
  const target = all.at(-1) ?? '';
  const sources = all.slice(0, -1);
  if (sources.length === 0) {
    throw malformed(`${word} requires at least one source and a destination`);
  }
  const from = flags['from'];
  const place = `${posix.resolve(stage.state.workingDir, target)}${/(?:^|\/)\.?$/.test(target) && posix.resolve(stage.state.workingDir, target) !== '/' ? '/' : ''}`;
  stage.pending.push({
    kind: 'copy',
    from: from === undefined ? undefined : stageImage(done, expand(from, variables)),
    sources: sources.map((source) => (from === undefined ? sourceOf(source, word, request.context) : absolute(source))),
    target: place,
  });
}

function stageImage(done: Done, from: string): string {
  const found =
    done.find(({ name }) => name !== '' && name === from.toLowerCase()) ??
    (/^\d{1,3}$/.test(from) ? done[Number(from)] : undefined);
  if (found === undefined) {
    throw notOffered('docker.build', `COPY --from=${visible(from).slice(0, 64)}: there is no stage of that name before this one`);
  }
  return found.image;
}

function absolute(source: string): string {
  return posix.resolve('/', source);
}

/** Within what came with the build. What ADD would fetch or unpack is not offered. */
function sourceOf(source: string, word: string, context: Context): string {
  if (/^[a-z+]+:\/\/|^git@/i.test(source)) {
    throw notOffered('docker.build', `${word} from an address is not offered: fetch it in a RUN, by the gateway`);
  }
  if (word === 'ADD' && /\.(?:tar|tgz|tbz2?|txz|tar\.\w+|gz|bz2|xz|zst)$/i.test(source)) {
    throw notOffered('docker.build', 'ADD of an archive is not offered: COPY it, and unpack it in a RUN');
  }
  const clean = posix.normalize(`/${source}`).slice(1).replace(/\/$/, '');
  if (!/[*?[]/.test(clean) && clean !== '' && !context.has(clean)) {
    throw malformed(`${word} failed: ${visible(source).slice(0, 200)}: no such file or folder came with the build`);
  }
  return clean;
}

/** What was collected since the last step that ran, as an image. */
async function flush(parts: BrokerParts, request: BuildRequest, stage: Stage): Promise<void> {
  if (stage.pending.length > 0) {
    const { file, signal } = request;
    const { pending: instructions, state } = stage;
    const needsContext = instructions.some((row) => row.kind === 'copy' && row.from === undefined);
    const context = (): Readable => (needsContext ? createReadStream(file) : Readable.from([]));
    const image = await parts.containers.images.assemble({ from: state.image, instructions, context }, signal);
    request.passing.push(image);
    stage.pending = [];
    stage.state = { ...state, image };
  }
}

async function finish(parts: BrokerParts, request: BuildRequest, stage: Stage): Promise<string> {
  const labels = new Map([...stage.state.labels, ...request.labels]);
  stage.pending.push(...settingsOf({ ...stage.state, labels }));
  await flush(parts, request, stage);
  return stage.state.image ?? '';
}
