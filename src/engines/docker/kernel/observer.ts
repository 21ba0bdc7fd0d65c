import { readFile } from 'node:fs/promises';

import { CasemateError } from '../../../base/errors.ts';
import { newSandboxId } from '../../../base/ids.ts';
import { visible } from '../../../base/text.ts';
import { dataFile } from '../../../system/data-file.ts';
import { stageText } from '../../oci/stage-text.ts';
import { observerBody } from '../container-bodies.ts';
import { makeContainer, removeContainer, startContainer } from '../containers.ts';
import type { DockerContext } from '../context.ts';
import { segment } from '../docker-client.ts';
import { importedImageOf } from '../image-of.ts';
import { newExec } from '../inside.ts';
import { bodyFacts } from '../body-facts.ts';
import { fieldsOf, numberOf } from '../read-json.ts';
import { again, onceAlive } from './ask-kept.ts';
import type { Hello, Observer } from './kernel-place.ts';
import { Lost, questions, type Questions } from './questions.ts';

/**
 * A container of ours that sees the processes of the engine's kernel, in which one program of ours answers questions. It is made
 * for the first question, serves all sandboxes of this process, and ends with this process's connection to it or after some idle
 * time. It has no network, and no file of the host except cgroup files where they exist.
 */

interface Made {
  readonly id: string;
  readonly label: string;
  readonly hello: Hello;
  readonly questions: Questions;
}

const limitMs = 60_000;
const idleMs = 5 * 60_000;

export function observer(context: DockerContext): Observer {
  let present: Promise<Made> | undefined;
  let label: string | undefined;
  let idle: NodeJS.Timeout | undefined;
  const drop = async (): Promise<void> => {
    clearTimeout(idle);
    const dropped = present;
    present = undefined;
    const made = await dropped?.catch(() => undefined);
    await (made === undefined ? undefined : remove(context, made));
  };
  // Not `async`: the promise is compared.
  const get = (): Promise<Made> => {
    clearTimeout(idle);
    idle = setTimeout(() => void drop().catch(() => undefined), idleMs).unref();
    if (present === undefined) {
      label = newSandboxId();
      const made = make(context, label);
      present = made;
      made.catch(() => {
        present = present === made ? undefined : present;
      });
    }
    return present;
  };
  // Another process that tidied up, or a person, has ended it.
  const lose = (lost: Promise<Made>): void => {
    if (present === lost) {
      present = undefined;
    }
    void lost.then((made) => remove(context, made)).catch(() => undefined);
  };
  const kept = { get, lose };
  const told = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw error instanceof Lost ? new CasemateError('ENGINE_FAILED', error.message, { cause: error }) : error;
    }
  };
  return {
    ask: (...question) => told(again(kept, async (made) => made.questions.ask(question, limitMs))),
    askOnce: (...question) =>
      told(
        onceAlive(kept, {
          look: async (made) => made.questions.ask(['hello'], limitMs),
          work: async (made) => made.questions.ask(question, limitMs),
        }),
      ),
    hello: () => told(again(kept, async ({ hello }) => hello)),
    label: () => label,
    close: drop,
  };
}

async function remove(context: DockerContext, { id, questions: asked }: Made): Promise<void> {
  asked.end();
  await removeContainer(context, id);
}

async function make(context: DockerContext, label: string): Promise<Made> {
  const { spec, image } = await importedImageOf(context);
  const facts = await bodyFacts(context, { ...spec, id: label }, image);
  const { groupVersion } = await context.facts();
  const body = observerBody(facts, { groups: groupVersion === 1 ? '/sys/fs/cgroup/memory' : undefined });
  const id = await makeContainer(context, `casemate-${label}-observer`, body);
  try {
    await startContainer(context, id);
    const { told, differences } = await (await context.dialect()).look(id, body);
    if (differences.length > 0) {
      throw new CasemateError(
        'ENGINE_FAILED',
        `the engine made an observer other than asked: ${differences.slice(0, 8).map(visible).join(', ')}`,
      );
    }
    const asked = await start(context, id);
    const first = numberOf(fieldsOf(fieldsOf(told)['State'])['Pid']);
    return { id, label, questions: asked, hello: await greet(asked, first) };
  } catch (error) {
    await removeContainer(context, id).catch(() => undefined);
    throw error;
  }
}

async function start(context: DockerContext, container: string): Promise<Questions> {
  const [program, stage] = await Promise.all([readFile(dataFile('engines/docker/kernel/observe.pl'), 'utf8'), stageText()]);
  const exec = await newExec(context, container, {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    User: '0:0',
    WorkingDir: '/',
    Cmd: ['perl', '-e', program, context.machine, stage],
  });
  const path = `/exec/${segment(exec)}`;
  const isRunning = async (): Promise<boolean> => {
    const { status, body } = await context.client.call('GET', `${path}/json`);
    return status === 200 && fieldsOf(body)['Running'] === true;
  };
  return questions(await context.client.hijack(`${path}/start`, { Detach: false, Tty: false }), { isRunning });
}

/** Numbers that the engine tells have to mean the same to it. */
async function greet(asked: Questions, first: number | undefined): Promise<Hello> {
  const [boot = '', , space = '', ...beside] = (await asked.ask(['hello'], limitMs)).toString('utf8').split('\t');
  if (boot === '' || space === '' || first === undefined || !beside.map(Number).includes(first)) {
    asked.end();
    throw new CasemateError('ENGINE_FAILED', 'the observer does not see the processes that the engine tells of');
  }
  return { boot, space };
}
