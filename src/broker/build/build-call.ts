import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { toCasemateError } from '../../base/errors.ts';
import { readStrictJson } from '../../base/strict-json.ts';
import { isJsonObject } from '../../base/json.ts';
import { untilWritable } from '../../system/until-writable.ts';
import type { Call, Reply } from '../call.ts';
import { withoutHostPaths } from '../container-view.ts';
import { freeName } from '../image-calls.ts';
import type { BrokerParts } from '../parts.ts';
import { BrokerRefusal, malformed, notOffered } from '../refusal.ts';
import { build, type BuildRequest } from './builder.ts';
import { parseDockerfile } from './parse-dockerfile.ts';
import { readContext } from './read-context.ts';

/** `POST /build` in the form of the classic builder: an archive goes in, and progress comes out as one JSON document a line. */

/** What came with each lies on the disk meanwhile. */
const greatestWaiting = 4;

export function buildCall(scratch: string): (call: Call, parts: BrokerParts) => Promise<Reply> {
  let last: Promise<unknown> = Promise.resolve();
  let count = 0;
  return async (call, parts) => {
    if (!parts.offer.build) {
      throw notOffered('docker.build', 'building images is not offered');
    }
    const asked = askedOf(call, parts);
    if (count >= greatestWaiting) {
      throw notOffered('limits', `no more than ${greatestWaiting} builds may wait for one another`);
    }
    count += 1;
    const file = `${scratch}.${randomBytes(6).toString('hex')}.tar`;
    try {
      const context = await readContext(call.content, file, asked.dockerfile);
      const lines = parseDockerfile(context.dockerfile);
      await call.effect('docker.build', asked.tags[0] ?? 'no name', { steps: lines.length, files: context.entries });
      const out = new PassThrough();
      const say = async (text: string): Promise<void> => {
        if (!asked.isQuiet && !write(out, { stream: text })) {
          await untilWritable(out);
        }
        // Between steps others get their turn, whatever a step has to work out.
        await nextTurn();
      };
      const request = {
        lines,
        context,
        file,
        args: asked.args,
        labels: asked.labels,
        target: asked.target,
        signal: call.signal,
        say,
        passing: [],
      };
      // One after the other: each of them may take half of what containers may have.
      last = last
        .then(() => carryOut(parts, { request, out, tags: asked.tags, isQuiet: asked.isQuiet }))
        .then(() => void (count -= 1));
      return { kind: 'stream', contentType: 'application/json', source: out };
    } catch (error) {
      count -= 1;
      await rm(file, { force: true });
      throw error;
    }
  };
}

interface Carrying {
  readonly request: BuildRequest;
  readonly out: PassThrough;
  readonly tags: readonly string[];
  readonly isQuiet: boolean;
}

/** Never rejects: a fault is the last line. */
async function carryOut(parts: BrokerParts, { request, out, tags, isQuiet }: Carrying): Promise<void> {
  let built = '';
  try {
    const image = await build(parts, request);
    await parts.containers.images.keep(image);
    built = image;
    await parts.names.change((names) => ({
      ...names,
      tags: { ...names.tags, ...Object.fromEntries(tags.map((tag) => [tag, image])) },
    }));
    write(out, { aux: { ID: image } });
    write(out, { stream: isQuiet ? `${image}\n` : `Successfully built ${image.slice(7, 19)}\n` });
    (isQuiet ? [] : tags).forEach((tag) => write(out, { stream: `Successfully tagged ${tag}\n` }));
  } catch (error) {
    const message = error instanceof BrokerRefusal ? error.message : withoutHostPaths(toCasemateError(error).message);
    write(out, { errorDetail: { message }, error: message });
  }
  await rm(request.file, { force: true }).catch(() => undefined);
  // The later ones first. One that the image is made from stays, and goes with it.
  for (const image of request.passing.toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    await (image === built ? Promise.resolve() : parts.containers.images.removeOwn(image).catch(() => undefined));
  }
  out.end();
}

/** `false`: nobody reads, and more would be kept here. */
function write(out: PassThrough, line: object): boolean {
  return out.write(`${JSON.stringify(line)}\n`);
}

interface Asked {
  readonly dockerfile: string;
  readonly tags: readonly string[];
  readonly args: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly target: string;
  readonly isQuiet: boolean;
}

/** What must say nothing, and in which words clients say nothing. */
const refused: Readonly<Record<string, readonly string[]>> = {
  remote: [''],
  session: [''],
  outputs: ['', '[]', 'null'],
  extrahosts: ['', '[]', 'null'],
  cgroupparent: [''],
  securityopt: ['', '[]', 'null'],
  ulimits: ['', '[]', 'null'],
  squash: ['', '0', 'false'],
  isolation: ['', 'default'],
  networkmode: ['', 'default', 'bridge', 'none'],
  version: ['', '1'],
};

function askedOf({ query }: Call, parts: BrokerParts): Asked {
  for (const [name, allowed] of Object.entries(refused)) {
    if (!allowed.includes(query.text(name))) {
      throw notOffered(
        'docker.build',
        name === 'session' || name === 'version'
          ? "BuildKit's sessions are not offered: build with DOCKER_BUILDKIT=0"
          : `${name} is not offered in a build`,
      );
    }
  }
  return {
    dockerfile: query.text('dockerfile') || 'Dockerfile',
    tags: query
      .all('t')
      .filter((tag) => tag !== '')
      .map((tag) => freeName(parts, tag)),
    args: textsOf(query.text('buildargs')),
    labels: textsOf(query.text('labels')),
    target: query.text('target').toLowerCase(),
    isQuiet: query.flag('q'),
  };
}

/** An object of texts; `null` is a value that nobody gives. */
function textsOf(json: string): ReadonlyMap<string, string> {
  if (json === '') {
    return new Map();
  }
  const value = readStrictJson(Buffer.from(json));
  if (value === null) {
    return new Map();
  }
  if (!isJsonObject(value)) {
    throw malformed('a parameter is no JSON object');
  }
  const labels = Object.keys(value).find((name) => name.toLowerCase().startsWith('casemate.'));
  if (labels !== undefined) {
    throw notOffered('confinement', 'labels of casemate are not offered');
  }
  return new Map(Object.entries(value).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text] as const] : [])));
}
