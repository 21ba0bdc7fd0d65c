import { randomBytes } from 'node:crypto';

import { claimsAboutCaller, foreignClaims, ownClaims } from '../attacks/host-claims.ts';
import { clearHello, doubtfulHellos, hiddenHello } from '../attacks/hellos.ts';
import { flag, frame, frameType, headerBlock, preface } from '../attacks/http2-bytes.ts';
import { callerIn } from '../clients/caller.ts';
import { http2In } from '../clients/http2-session.ts';
import { requestText } from '../clients/request-text.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { seenRow, settle, unseenRow, watch } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** One canonical destination, whatever a connection later says of itself (G11). */

const nonce = (): string => randomBytes(6).toString('hex');

interface Marked {
  readonly name: string;
  readonly mark: string;
  readonly bytes: string;
}

type BytesOf = (target: string) => Readonly<Record<string, string>>;

/** Each variant with a mark of its own in its path. */
function marked(path: string, bytesOf: BytesOf): readonly Marked[] {
  return Object.keys(bytesOf(path)).map((name) => {
    const mark = nonce();
    return { name, mark, bytes: bytesOf(`${path}?${mark}`)[name] ?? '' };
  });
}

async function claim(lab: Lab, scheme: 'http' | 'https'): Promise<readonly Row[]> {
  const allowed = scheme === 'http' ? hosts.allowed : hosts.opened;
  const method = scheme === 'http' ? 'GET' : 'POST';
  const parts = { allowed, denied: hosts.denied, scheme, method };
  const foreign = marked('/v1/messages', (target) => foreignClaims({ ...parts, target }));
  const own = marked('/v1/messages', (target) => ownClaims({ ...parts, target }));
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const say = scheme === 'http' ? caller.plain : caller.secure;
  await Promise.all([...foreign, ...own].map(({ bytes }) => say({ host: allowed }, [bytes], { quietMs: 400 })));
  await settle();
  return [
    ...foreign.map(({ name, mark }) => unseenRow(name, oracle.with(mark))),
    ...own.map(({ name, mark }) => seenRow(name, oracle.with(mark))),
  ];
}

/** Streams on a connection for one host that name another, by an ordinary client and frame by frame. */
function foreignStreams(mark: (name: string) => string): Readonly<Record<string, readonly (readonly [string, string])[]>> {
  const rows = (name: string, more: Readonly<Record<string, string>>, extra: readonly (readonly [string, string])[] = []) => [
    ...Object.entries({
      ':method': 'POST',
      ':scheme': 'https',
      ':path': `/v1/messages?${mark(name)}`,
      ':authority': hosts.opened,
      ...more,
    }),
    ...extra,
  ];
  return {
    'another authority': rows('another authority', { ':authority': hosts.denied }),
    'another port': rows('another port', { ':authority': `${hosts.opened}:8443` }),
    'a user part': rows('a user part', { ':authority': `${hosts.opened}@${hosts.denied}` }),
    'an address': rows('an address', { ':authority': '127.0.0.1' }),
    'an empty authority': rows('an empty authority', { ':authority': '' }),
    'another host beside the authority': rows('another host beside the authority', {}, [['host', hosts.denied]]),
    'an absolute path': rows('an absolute path', { ':path': `https://${hosts.denied}/v1/messages?${mark('an absolute path')}` }),
    'a path without a slash': rows('a path without a slash', { ':path': `v1/messages?${mark('a path without a slash')}` }),
    'two authorities': rows('two authorities', {}, [[':authority', hosts.denied]]),
    'a path with a line end': rows('a path with a line end', {
      ':path': `/v1/messages?${mark('a path with a line end')} HTTP/1.1\r\nHost: ${hosts.denied}\r\n\r\n`,
    }),
    // The field alone bears the mark: a request that goes on without it is no other than a legal one.
    'a field with a line end': rows('', { ':path': '/v1/messages' }, [
      ['x', `${mark('a field with a line end')}\r\nHost: ${hosts.denied}`],
    ]),
    CONNECT: [
      [':method', 'CONNECT'],
      [':authority', `${hosts.denied}:443`],
      ['x', mark('CONNECT')],
    ],
    'a switch of protocols': rows('a switch of protocols', { ':method': 'CONNECT', ':protocol': 'websocket' }),
  };
}

export const destinationProbes: ProbeTable = {
  'destinations.plain-host': {
    where: 'lab',
    title: 'name another host in a request in clear than the one it was connected to',
    proves: ['G11'],
    profile: 'full',
    source: 'RFC 9112 section 3.2; host-header tests of sandbox-runtime',
    run: async (lab) => ({ rows: await claim(lab, 'http') }),
  },
  'destinations.opened-host': {
    where: 'lab',
    title: 'name another host inside TLS than the one it was opened for',
    proves: ['G11', 'G13'],
    profile: 'full',
    source: 'agentcage 175 and 214; microsandbox 709',
    run: async (lab) => ({ rows: await claim(lab, 'https') }),
  },
  'destinations.http2-authority': {
    where: 'lab',
    title: 'name another host in a stream of HTTP/2 than the one it was opened for',
    proves: ['G11', 'G12'],
    profile: 'full',
    source: 'RFC 9113 section 8.3.1; microsandbox 836',
    async run(lab) {
      const caller = callerIn(lab.twin);
      const oracle = watch(lab.world);
      const marks = new Map<string, string>();
      const mark = (name: string): string => marks.get(name) ?? (marks.set(name, nonce()), marks.get(name) ?? '');
      const streams = Object.entries(foreignStreams(mark));
      const raw = (rows: readonly (readonly [string, string])[]): Buffer =>
        Buffer.concat([
          preface,
          frame({
            type: frameType.headers,
            stream: 1,
            flags: flag.endHeaders | flag.endStream,
            payload: headerBlock(rows),
          }),
        ]);
      await Promise.all(
        streams.map(([, rows]) => caller.secure({ host: hosts.opened, protocols: ['h2'] }, [raw(rows)], { quietMs: 400 })),
      );
      const [plainly, before, after] = [nonce(), nonce(), nonce()];
      const simple = Object.entries({ ':method': 'POST', ':scheme': 'https', ':path': `/v1/messages?${plainly}` });
      await caller.secure({ host: hosts.opened, protocols: ['h2'] }, [raw([...simple, [':authority', hosts.opened]])]);
      const session = await http2In(caller, { host: hosts.opened });
      const legal = (one: string) => session.ask({ ':method': 'POST', ':path': `/v1/messages?${one}` });
      const first = await legal(before);
      await session.ask({ ':method': 'POST', ':path': '/v1/messages', ':authority': hosts.denied });
      await legal(after);
      session.close();
      await settle();
      return {
        rows: [
          ...streams.map(([name]) => unseenRow(name, oracle.with(mark(name)))),
          unseenRow('requests that name the other host', oracle.with(hosts.denied)),
          seenRow('a legal stream, frame by frame', oracle.with(plainly)),
          seenRow(`a legal stream, answered with ${first}`, oracle.with(before)),
          seenRow('a legal stream behind one that was refused', oracle.with(after)),
        ],
      };
    },
  },
  'destinations.server-name': {
    where: 'lab',
    title: 'say another name in TLS than the one that was connected to',
    proves: ['G11'],
    profile: 'full',
    source: 'domain fronting; gh-aw 62547, inspect_k8s_sandbox 208',
    async run(lab) {
      const caller = callerIn(lab.twin);
      const oracle = watch(lab.world);
      const mark = nonce();
      const names = [hosts.denied, `${mark}.${hosts.wild}`, `${hosts.allowed}.${hosts.denied}`, 'localhost', null];
      const places = names.flatMap((serverName) => [hosts.allowed, hosts.opened].map((host) => ({ host, serverName })));
      await Promise.all(places.map((place) => caller.secure(place, [requestText({ host: place.host })], { quietMs: 300 })));
      await settle();
      const arrived = [...oracle.arrived()];
      await caller.secure({ host: hosts.allowed }, [requestText({ host: hosts.allowed, target: `/${mark}` })]);
      return {
        rows: [
          ...names.map((name) =>
            unseenRow(
              name ?? 'no name',
              arrived.filter(({ host }) => host === name),
            ),
          ),
          unseenRow('connections in all', arrived),
          seenRow('the name that was connected to', oracle.with(mark)),
        ],
      };
    },
  },
  'destinations.doubtful-hello': {
    where: 'lab',
    title: 'open TLS with a greeting whose name cannot be told beyond doubt',
    proves: ['G11', 'G12'],
    profile: 'full',
    source: 'RFC 6066 section 3, RFC 9849; client-hello tests of sandbox-runtime',
    async run(lab) {
      const caller = callerIn(lab.twin);
      const oracle = watch(lab.world);
      const hellos = Object.entries(doubtfulHellos({ allowed: hosts.allowed, denied: hosts.denied }));
      // Its true name may be another one; who opens it learns it, so it is opened here and never passed on.
      await caller.plain({ host: hosts.allowed, port: 443 }, [hiddenHello(hosts.allowed)], { quietMs: 200 });
      await settle(50);
      const hidden = [...oracle.arrived()];
      const say = async (bytes: Buffer) => await caller.plain({ host: hosts.allowed, port: 443 }, [bytes, Buffer.alloc(64)]);
      const answers = await Promise.all(hellos.map(async ([name, bytes]) => ({ name, ...(await say(bytes)) })));
      await settle();
      const arrived = [...oracle.arrived()];
      await caller.plain({ host: hosts.allowed, port: 443 }, [clearHello(hosts.allowed)], { quietMs: 200 });
      await settle(50);
      return {
        rows: [
          ...answers.map(({ name, text, end }) =>
            attack(`a hello with ${name}`, {
              expected: 'closed without a word',
              seen: text === '' ? end : `${text.length} bytes, ${end}`,
              ok: text === '' && end !== 'quiet',
            }),
          ),
          unseenRow('a hello with another one hidden in it', hidden),
          unseenRow('connections in all', arrived),
          seenRow('a hello beyond doubt', oracle.arrived().slice(arrived.length)),
        ],
      };
    },
  },
  'destinations.spellings': {
    where: 'lab',
    title: 'get around the rules of a host by spelling its name otherwise',
    proves: ['G11'],
    profile: 'full',
    source: 'canonical-host tests of sandbox-runtime: one dot, and nothing was inspected',
    async run(lab) {
      const caller = callerIn(lab.twin);
      const oracle = watch(lab.world);
      const { opened } = hosts;
      const spellings = [opened.toUpperCase(), `${opened}.`, `O${opened.slice(1)}`, `${opened.toUpperCase()}.`];
      const tries = spellings.map((host) => ({ host, forbidden: nonce(), legal: nonce() }));
      await Promise.all(
        tries.flatMap(({ host, forbidden, legal }) => [
          caller.secure({ host, serverName: opened }, [requestText({ host, target: `/v1/files?${forbidden}` })]),
          caller.secure({ host, serverName: opened }, [requestText({ host, target: `/v1/echo?${legal}` })]),
        ]),
      );
      await settle();
      return {
        rows: tries.flatMap(({ host, forbidden, legal }) => [
          unseenRow(`a function that no rule allows, at ${host}`, oracle.with(forbidden)),
          seenRow(`one that is allowed, at ${host}`, oracle.with(legal)),
        ]),
      };
    },
  },
  'destinations.nameless': {
    where: 'lab',
    title: 'reach something through addresses inside that stand for no name, and through the gateway itself',
    proves: ['G11', 'G9'],
    profile: 'full',
    source: 'SSRF to the proxy itself; control paths on proxy ports',
    async run(lab) {
      const caller = callerIn(lab.twin);
      const oracle = watch(lab.world);
      const addresses = [
        '127.0.0.1',
        '127.0.0.2',
        '127.0.0.53',
        '127.64.0.1',
        '127.99.99.99',
        '127.127.255.254',
        '127.255.255.254',
      ];
      const texts = [hosts.allowed, 'localhost', '127.0.0.1'].map((host) => requestText({ host }));
      const heard = await Promise.all(
        addresses.flatMap((host) =>
          texts.map(async (bytes) => ({ host, ...(await caller.plain({ host }, [bytes], { quietMs: 400 })) })),
        ),
      );
      await Promise.all(
        addresses.map((host) => caller.secure({ host, serverName: hosts.allowed }, [texts[0] ?? ''], { quietMs: 400 })),
      );
      await settle();
      const arrived = [...oracle.arrived()];
      const mark = nonce();
      await caller.plain({ host: hosts.allowed }, [requestText({ host: hosts.allowed, target: `/${mark}` })]);
      const answered = heard.filter(({ text }) => text !== '');
      return {
        rows: [
          unseenRow('all addresses, in clear and with TLS', arrived),
          attack('answers inside', {
            expected: 'none',
            seen: answered.length === 0 ? 'none' : answered.map(({ host }) => host).join(' '),
            ok: answered.length === 0,
          }),
          seenRow('the address of an allowed name', oracle.with(mark)),
        ],
      };
    },
  },
  'destinations.claims': {
    where: 'lab',
    title: 'say of itself that it is somebody else, or comes from elsewhere',
    proves: ['G11', 'G14'],
    profile: 'full',
    source: 'RFC 7239; identity taken from headers',
    async run(lab) {
      const mark = nonce();
      const oracle = watch(lab.world);
      const lines = [...claimsAboutCaller, `X-Kept: ${mark}`];
      await callerIn(lab.twin).plain({ host: hosts.allowed }, [requestText({ host: hosts.allowed, lines })]);
      await settle();
      const found = oracle.with(mark);
      const names = new Set(found.flatMap(({ headers }) => headers?.map(([name]) => name) ?? []));
      return {
        rows: [
          ...claimsAboutCaller.map((line) => {
            const name = line.split(':', 1)[0]?.toLowerCase() ?? '';
            return attack(line, {
              expected: 'dropped',
              seen: names.has(name) ? 'sent on' : 'dropped',
              ok: !names.has(name),
              from: 'outside',
            });
          }),
          seenRow('a field that claims nothing', found),
          control('its value', {
            expected: mark,
            seen: names.has('x-kept') ? mark : 'gone',
            ok: names.has('x-kept'),
            from: 'outside',
          }),
        ],
      };
    },
  },
};
