import { randomBytes } from 'node:crypto';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';

import { compressions, framedEchoes, placedEchoes } from '../attacks/echoes.ts';
import { formsOf, showsPart } from '../attacks/text-forms.ts';
import { provedSwitch } from '../attacks/upgrades.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import type { Answer } from '../lab/world.ts';
import type { ProbeTable } from '../probe.ts';

/** Answers that repeat the key they were asked with (G13): nothing of it may be readable inside, in any form. */

const nonce = (): string => randomBytes(6).toString('hex');
const { scripted, opened } = hosts;

interface Echo {
  readonly what: string;
  readonly mark: string;
  /** bytes that the caller sends */
  readonly ask: string;
  readonly answer: string;
}

function echoes(key: string): readonly Echo[] {
  const row = (what: string, answerOf: (mark: string) => string, ask = asked): Echo => {
    const mark = nonce();
    return { what, mark, ask: ask(mark), answer: answerOf(mark) };
  };
  const sized = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const forms = formsOf(key);
  return [
    ...Object.entries(forms).map(([form, text]) => row(`in the content, ${form}`, (mark) => sized(`${mark} ${text} ends`))),
    ...Object.entries(forms).map(([form, text]) =>
      row(`in a header, ${form}`, (mark) => sized(mark).replace('\r\n', `\r\nX-Echo: ${text}\r\n`)),
    ),
    ...Object.keys(placedEchoes('', '')).map((place) => row(place, (mark) => placedEchoes(key, mark)[place] ?? '')),
    ...Object.keys(framedEchoes('', '')).map((place) =>
      row(
        `behind a switch to WebSocket, ${place}`,
        (mark) => `${provedSwitch(parts(mark)).answer}${framedEchoes(key, mark)[place] ?? ''}`,
        (mark) => provedSwitch(parts(mark)).bytes,
      ),
    ),
  ];
}

const parts = (mark: string) => ({ host: scripted, target: `/${mark}` });
const asked = (mark: string): string => requestText(parts(mark));

/** As a program inside reads it: without the lengths between pieces. */
function joined(text: string): string {
  return text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '');
}

function rowsOf(what: string, read: readonly string[], { key, mark }: { readonly key: string; readonly mark: string }): Row[] {
  const isShown = read.some((text) => showsPart(text, key));
  const isThere = read.some((text) => text.includes(mark));
  return [
    attack(what, {
      expected: 'no part of the key',
      seen: isShown ? 'the key, or a part of it' : 'no part of the key',
      ok: !isShown,
    }),
    control(`${what}: the rest of the answer`, {
      expected: 'read inside',
      seen: isThere ? 'read inside' : 'not there',
      ok: isThere,
    }),
  ];
}

async function echoAll(lab: Lab): Promise<readonly Row[]> {
  const { key } = lab.canaries;
  const caller = callerIn(lab.twin);
  const tries = echoes(key);
  const answers = new Map(tries.map(({ mark, answer }) => [`/${mark}`, answer]));
  const arrivedWithout: string[] = [];
  lab.world.script(({ url = '', headers = [] }) => {
    if (!headers.some(([, value]) => value === key)) {
      arrivedWithout.push(url);
    }
    return answers.get(url) ?? 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n';
  });
  const heard = await Promise.all(tries.map(({ ask }) => caller.secure({ host: scripted }, [ask], { quietMs: 1500 })));
  lab.world.script(undefined);
  return [
    ...tries.flatMap(({ what, mark }, index) => {
      const text = heard[index]?.text ?? '';
      return rowsOf(what, [text, joined(text)], { key, mark });
    }),
    control('requests that came to the server without the key', {
      expected: '0',
      seen: String(arrivedWithout.length),
      ok: arrivedWithout.length === 0,
      from: 'outside',
    }),
  ];
}

/** What a program inside makes of an answer, whatever coding it is in. */
function readings(text: string): readonly string[] {
  const bytes = Buffer.from(joined(text.slice(text.indexOf('\r\n\r\n') + 2)), 'latin1');
  const decoders = [gunzipSync, inflateSync, brotliDecompressSync, zstdDecompressSync];
  const once = decoders.flatMap((decode) => attempt(() => decode(bytes)));
  const twice = decoders.flatMap((decode) => once.flatMap((inner) => attempt(() => decode(inner))));
  return [text, joined(text), ...[...once, ...twice].map((inner) => inner.toString('latin1'))];
}

function attempt(decode: () => Buffer): readonly Buffer[] {
  try {
    return [decode()];
  } catch {
    return [];
  }
}

/** Compressed unasked, the key is as readable as ever. What the gateway cannot read it must refuse. */
async function compressed(lab: Lab): Promise<readonly Row[]> {
  const { key } = lab.canaries;
  const caller = callerIn(lab.twin);
  const tries = [...Object.keys(compressions), 'secret-sauce'].map((coding) => ({ coding, mark: nonce() }));
  const answers = new Map<string, Answer>(
    tries.map(({ coding, mark }) => {
      const body = compressions[coding]?.(Buffer.from(`${mark} ${key} ends`)) ?? Buffer.from(`${mark} ${key} ends`);
      return [`/v1/messages?${mark}`, { status: 200, headers: { 'content-encoding': coding }, body }];
    }),
  );
  lab.world.respond(({ url = '' }) => answers.get(url) ?? { status: 404 });
  const heard = await Promise.all(
    tries.map(({ mark }) => {
      const lines = ['Accept-Encoding: gzip, br'];
      const bytes = requestText({ host: opened, method: 'POST', target: `/v1/messages?${mark}`, lines, body: '{}' });
      return caller.secure({ host: opened }, [bytes], { quietMs: 1500 });
    }),
  );
  lab.world.respond(undefined);
  const single = ['gzip', 'x-gzip', 'deflate', 'br', 'zstd'];
  return tries.flatMap(({ coding, mark }, index) => {
    const rows = rowsOf(`compressed unasked with ${coding}`, readings(heard[index]?.text ?? ''), { key, mark });
    return single.includes(coding) ? rows : rows.slice(0, 1);
  });
}

export const keyEchoProbes: ProbeTable = {
  'keys.echoed': {
    where: 'lab',
    title: 'read a key in the answer of a server that tells what it was sent, in any form and any place',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-200; debug echoes of APIs, httpbin',
    async run(lab) {
      return { rows: await echoAll(lab) };
    },
  },
  'keys.echoed-compressed': {
    where: 'lab',
    title: 'read a key in an answer that is compressed unasked',
    proves: ['G13'],
    profile: 'full',
    source: 'RFC 9110 section 8.4',
    async run(lab) {
      return { rows: await compressed(lab) };
    },
  },
};
