import { Transform, type Readable, type TransformCallback } from 'node:stream';

import { asObject, asText, parseJson } from '../base/json.ts';
import { version } from '../system/version.ts';
import { json, type Call, type Reply } from './call.ts';
import { readNote } from './notes.ts';
import { ownContainers } from './own-containers.ts';
import type { BrokerParts } from './parts.ts';
import { hasLabels, isAmong, readFilters } from './read-filters.ts';

/** What clients ask before anything else, and the events of containers. */

export const apiVersion = '1.41';
export const oldestApiVersion = '1.24';

export async function ping(): Promise<Reply> {
  // Clients that see this build with the classic builder, which is the one that is offered.
  return { kind: 'text', status: 200, body: 'OK', headers: { 'Builder-Version': '1', 'Cache-Control': 'no-cache' } };
}

export async function versions(): Promise<Reply> {
  const details = { ApiVersion: apiVersion, MinAPIVersion: oldestApiVersion, Os: 'linux', Arch: arch() };
  return json({
    Platform: { Name: 'Casemate' },
    Components: [{ Name: 'Engine', Version: `20.10.0-casemate-${version}`, Details: details }],
    Version: `20.10.0-casemate-${version}`,
    ApiVersion: apiVersion,
    MinAPIVersion: oldestApiVersion,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: arch(),
    KernelVersion: '',
    BuildTime: '',
  });
}

function arch(): string {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}

export async function info(_call: Call, parts: BrokerParts): Promise<Reply> {
  const all = await ownContainers(parts);
  const running = all.filter(({ state }) => state === 'running').length;
  const { share } = parts.containers;
  return json({
    ID: parts.sandbox,
    Name: parts.sandbox,
    Containers: all.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: all.length - running,
    Images: (await parts.containers.images.own()).length,
    Driver: 'casemate',
    DriverStatus: [],
    Plugins: { Volume: ['local'], Network: ['bridge', 'null'], Authorization: null, Log: ['json-file'] },
    MemoryLimit: true,
    SwapLimit: false,
    CpuCfsQuota: true,
    PidsLimit: true,
    IPv4Forwarding: false,
    Debug: false,
    NFd: 0,
    NGoroutines: 0,
    LoggingDriver: 'json-file',
    CgroupDriver: 'none',
    NEventsListener: 0,
    KernelVersion: '',
    OperatingSystem: `Casemate ${version}`,
    OSType: 'linux',
    Architecture: process.arch === 'arm64' ? 'aarch64' : 'x86_64',
    IndexServerAddress: '',
    RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: [] },
    NCPU: Math.max(1, Math.round(share.cpus)),
    MemTotal: share.memoryBytes,
    DockerRootDir: '',
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: `20.10.0-casemate-${version}`,
    Runtimes: { runc: { path: 'runc' } },
    DefaultRuntime: 'runc',
    Swarm: { NodeID: '', LocalNodeState: 'inactive', ControlAvailable: false, RemoteManagers: null },
    LiveRestoreEnabled: false,
    Isolation: '',
    InitBinary: '',
    SecurityOptions: ['name=seccomp,profile=casemate'],
    Warnings: null,
  });
}

/** Of the sandbox's own containers, in words of its own: what the engine adds about the host is left out. */
export async function events({ query, signal }: Call, parts: BrokerParts): Promise<Reply> {
  const filters = readFilters(query.text('filters'), [
    'label',
    'type',
    'event',
    'container',
    'image',
    'network',
    'volume',
    'daemon',
    'scope',
  ]);
  const times = Object.fromEntries(
    ['since', 'until'].flatMap((name) => (/^[\w.:+-]{1,64}$/.test(query.text(name)) ? [[name, query.text(name)] as const] : [])),
  );
  const source = await parts.containers.events(times, signal);
  return { kind: 'stream', contentType: 'application/json', source: eachLine(source, (line) => eventLine(line, filters)) };
}

function eventLine(line: string, filters: ReturnType<typeof readFilters>): string {
  const event = asObject(parseJson(line));
  const actor = asObject(event['Actor']);
  const attributes = asObject(actor['Attributes']);
  const said = readNote(asText(attributes['casemate.note']));
  const [id, action] = [asText(actor['ID']), asText(event['Action'])];
  const wanted = filters.get('container');
  const isShown =
    said !== undefined &&
    isAmong('container', filters.get('type')) &&
    (filters.get('event')?.some((name) => action === name || action.startsWith(`${name}:`)) ?? true) &&
    (wanted === undefined || wanted.some((one) => said.name === one || id.startsWith(one))) &&
    hasLabels(said.labels, filters.get('label'));
  if (!isShown) {
    return '';
  }
  const more = ['exitCode', 'signal'].flatMap((name) =>
    attributes[name] === undefined ? [] : [[name, asText(attributes[name])] as const],
  );
  return `${JSON.stringify({
    status: action,
    id,
    from: said.image,
    Type: 'container',
    Action: action,
    Actor: { ID: id, Attributes: { ...said.labels, image: said.image, name: said.name, ...Object.fromEntries(more) } },
    scope: 'local',
    time: event['time'],
    timeNano: event['timeNano'],
  })}\n`;
}

const greatestLine = 1024 * 1024;

function eachLine(source: Readable, work: (line: string) => string): Readable {
  let rest = '';
  source.setEncoding('utf8');
  const lines = new Transform({
    decodeStrings: false,
    transform(piece: unknown, _encoding, done: TransformCallback) {
      const parts = (rest + String(piece)).split('\n');
      rest = (parts.pop() ?? '').slice(0, greatestLine);
      done(null, parts.map(work).join(''));
    },
  });
  source.once('error', () => lines.end());
  lines.once('close', () => source.destroy());
  return source.pipe(lines);
}
