import { asObject, asText } from '../../base/json.ts';
import type { Instruction } from '../../engines/containers.ts';

/** An image's configuration besides its files, as a build goes on. */
export interface ImageState {
  /** id; `undefined`: nothing yet */
  readonly image: string | undefined;
  readonly env: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly workingDir: string;
  readonly user: string;
  readonly command: readonly string[];
  readonly entrypoint: readonly string[];
  readonly shell: readonly string[];
  readonly exposed: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal: string;
}

export const nothingYet: ImageState = {
  image: undefined,
  env: new Map(),
  labels: new Map(),
  workingDir: '/',
  user: '',
  command: [],
  entrypoint: [],
  shell: ['/bin/sh', '-c'],
  exposed: [],
  volumes: [],
  stopSignal: '',
};

/** `told`: what the engine says of the image. */
export function stateOfImage(image: string, told: unknown): ImageState {
  const config = asObject(asObject(told)['Config']);
  const texts = (value: unknown): readonly string[] =>
    Array.isArray(value) ? value.filter((row) => typeof row === 'string') : [];
  const env = texts(config['Env']).map(
    (entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const,
  );
  const shell = texts(config['Shell']);
  return {
    image,
    env: new Map(env.filter(([name]) => name !== '')),
    labels: new Map(),
    workingDir: asText(config['WorkingDir']) || '/',
    user: asText(config['User']),
    command: texts(config['Cmd']),
    entrypoint: texts(config['Entrypoint']),
    shell: shell.length === 0 ? nothingYet.shell : shell,
    exposed: Object.keys(asObject(config['ExposedPorts'])),
    volumes: Object.keys(asObject(config['Volumes'])),
    stopSignal: asText(config['StopSignal']),
  };
}

/** All of it said again: a step that ran has left its own command in the image. */
export function settingsOf(state: ImageState): readonly Instruction[] {
  const word = (name: 'WORKDIR' | 'USER' | 'STOPSIGNAL', value: string): readonly Instruction[] =>
    value === '' ? [] : [{ kind: 'word', word: name, value }];
  return [
    ...[...state.env].map(([name, value]): Instruction => ({ kind: 'env', name, value })),
    ...[...state.labels].map(([name, value]): Instruction => ({ kind: 'label', name, value })),
    ...word('WORKDIR', state.workingDir),
    ...word('USER', state.user),
    ...word('STOPSIGNAL', state.stopSignal),
    ...state.exposed.map((value): Instruction => ({ kind: 'word', word: 'EXPOSE', value })),
    ...(state.volumes.length === 0 ? [] : [{ kind: 'list', word: 'VOLUME', values: state.volumes } as const]),
    { kind: 'list', word: 'SHELL', values: state.shell },
    { kind: 'list', word: 'ENTRYPOINT', values: state.entrypoint },
    { kind: 'list', word: 'CMD', values: state.command },
  ];
}
