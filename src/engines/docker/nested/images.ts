import { Readable } from 'node:stream';

import { CasemateError } from '../../../base/errors.ts';
import type { ContainerImages } from '../../containers.ts';
import type { SandboxSpec } from '../../engine.ts';
import type { DockerContext } from '../context.ts';
import { messageOf, segment } from '../docker-client.ts';
import { imageOf } from '../image-of.ts';
import { labelsOf, type Marks } from '../labels.ts';
import { fieldsOf, textOf } from '../read-json.ts';
import { assemblyTar, assemblyText } from './assembly.ts';
import { ownImages } from './leftovers.ts';

/**
 * Images that a sandbox may use: its own, and those of the engine that a policy names. Images made here carry our labels and no
 * name.
 */

interface Facts {
  readonly context: DockerContext;
  readonly spec: SandboxSpec;
  readonly marks: Marks;
  readonly agent: { readonly uid: number; readonly gid: number };
}

const idForm = /^sha256:[0-9a-f]{64}$/;

export function imagesOf({ context, spec, marks, agent }: Facts): ContainerImages {
  const { client } = context;
  const user = `${agent.uid}:${agent.gid}`;
  const requireOwn = async (id: string): Promise<void> => {
    if (!(await ownImages(context, spec.id)).includes(id)) {
      throw new CasemateError('ENGINE_FAILED', 'there is no such image of this sandbox');
    }
  };
  return {
    sandbox: () => imageOf(context, spec, {}),
    async named(reference) {
      const { status, body } = await client.call('GET', `/images/${segment(reference)}/json`);
      const id = textOf(fieldsOf(body)['Id']);
      return status === 200 && idForm.test(id) ? id : undefined;
    },
    own: () => ownImages(context, spec.id, { all: false }),
    async keep(id) {
      const query = { repo: `casemate/of-${spec.id}`, tag: id.slice('sha256:'.length, 'sha256:'.length + 24) };
      await client.must('POST', `/images/${segment(id)}/tag`, { query });
    },
    inspect: (id) => client.must('GET', `/images/${segment(id)}/json`),
    history: (id) => client.must('GET', `/images/${segment(id)}/history`),
    async removeOwn(id) {
      await requireOwn(id);
      const { status, body } = await client.call('DELETE', `/images/${segment(id)}`, { query: { force: true } });
      if (status !== 200 && status !== 404) {
        throw new CasemateError('ENGINE_FAILED', `the engine keeps it: ${messageOf(body)}`);
      }
    },
    async commit(container, config) {
      const body = { ...config, Labels: { ...fieldsOf(config['Labels']), ...labelsOf(marks, 'nested') } };
      const told = fieldsOf(
        await client.must('POST', '/commit', { query: { container, pause: false }, body, timeoutMs: 600_000 }),
      );
      return imageId(textOf(told['Id']));
    },
    async assemble({ from, instructions, context: entries }, signal) {
      const text = assemblyText(from, instructions, { labels: labelsOf(marks, 'nested'), user });
      const query = { q: true, rm: true, forcerm: true, nocache: true, networkmode: 'none' };
      const upload = Readable.from(assemblyTar(text, entries()));
      return builtImage(await client.stream('POST', '/build', { query, upload, signal }));
    },
  };
}

/** One JSON document a line; quiet, so that the only text that is no error is the image's id. */
async function builtImage(answer: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of answer) {
    size += piece.length;
    if (size > 1024 * 1024) {
      throw new CasemateError('ENGINE_FAILED', 'the engine says too much about a build');
    }
    pieces.push(Buffer.from(piece));
  }
  const lines = Buffer.concat(pieces)
    .toString('utf8')
    .split('\n')
    .filter((text) => text.trim() !== '')
    .map((text) => fieldsOf(JSON.parse(text)));
  const fault = lines.map((line) => textOf(line['error'])).find((text) => text !== '');
  if (fault !== undefined) {
    throw new CasemateError('ENGINE_FAILED', messageOf(fault));
  }
  return imageId(
    lines
      .map((line) => textOf(line['stream']))
      .join('')
      .trim(),
  );
}

function imageId(told: string): string {
  if (!idForm.test(told)) {
    throw new CasemateError('ENGINE_FAILED', 'the engine gave no id for an image');
  }
  return told;
}
