import type { Call, Reply } from './call.ts';
import type { CommandCalls } from './command-calls.ts';
import * as containers from './container-calls.ts';
import * as images from './image-calls.ts';
import * as networks from './network-calls.ts';
import type { BrokerParts } from './parts.ts';
import * as system from './system-calls.ts';
import * as volumes from './volume-calls.ts';

/** Everything that is offered: methods and path forms, each with its handler. */

export interface Route {
  readonly method: string;
  /** the whole path behind the version; its groups are the handler's `params` */
  readonly path: RegExp;
  readonly answer: (call: Call, parts: BrokerParts) => Promise<Reply>;
}

/** Of a container, a network, a volume or a command. */
const one = '([a-zA-Z0-9][\\w.-]{0,255})';
/** An image's name may have slashes and a tag. */
const image = '((?:sha256:)?[a-zA-Z0-9][\\w./:-]{0,300}?)';

export function routesOf({
  commands,
  build,
}: {
  readonly commands: CommandCalls;
  readonly build: Route['answer'];
}): readonly Route[] {
  const route = (method: string, path: string, answer: Route['answer']): Route => ({
    method,
    path: new RegExp(`^${path}$`),
    answer,
  });
  return [
    route('GET', '/_ping', system.ping),
    route('HEAD', '/_ping', system.ping),
    route('GET', '/version', system.versions),
    route('GET', '/info', system.info),
    route('GET', '/events', system.events),
    route('GET', '/containers/json', containers.list),
    route('POST', '/containers/create', containers.createInTurn()),
    route('GET', `/containers/${one}/json`, containers.inspect),
    route('POST', `/containers/${one}/start`, containers.start),
    route('POST', `/containers/${one}/stop`, containers.stop),
    route('POST', `/containers/${one}/restart`, containers.restart),
    route('POST', `/containers/${one}/kill`, containers.kill),
    route('POST', `/containers/${one}/wait`, containers.wait),
    route('POST', `/containers/${one}/attach`, containers.attach),
    route('POST', `/containers/${one}/resize`, containers.resize),
    route('GET', `/containers/${one}/logs`, containers.logs),
    route('DELETE', `/containers/${one}`, containers.remove),
    route('POST', `/containers/${one}/exec`, (call) => commands.create(call)),
    route('POST', `/exec/${one}/start`, (call) => commands.start(call)),
    route('GET', `/exec/${one}/json`, (call) => commands.inspect(call)),
    route('POST', `/exec/${one}/resize`, (call) => commands.resize(call)),
    route('GET', '/images/json', images.list),
    route('POST', '/images/create', images.pull),
    route('GET', `/images/${image}/json`, images.inspect),
    route('GET', `/images/${image}/history`, images.history),
    route('POST', `/images/${image}/tag`, images.tag),
    route('DELETE', `/images/${image}`, images.remove),
    route('POST', '/build', build),
    route('GET', '/networks', networks.list),
    route('POST', '/networks/create', networks.create),
    route('GET', `/networks/${one}`, networks.inspect),
    route('DELETE', `/networks/${one}`, networks.remove),
    route('POST', `/networks/${one}/connect`, networks.connect),
    route('POST', `/networks/${one}/disconnect`, networks.disconnect),
    route('GET', '/volumes', volumes.list),
    route('POST', '/volumes/create', volumes.create),
    route('GET', `/volumes/${one}`, volumes.inspect),
    route('DELETE', `/volumes/${one}`, volumes.remove),
  ];
}
