/** Answers of a person, as steps: a project's policy is approved, a request that waits is allowed or denied, a run is learned from. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { box, claimFaults, must, succeeded, type Done, type Step } from './step.ts';
import type { Started, World } from './world.ts';

/** A request of the sandbox that no rule allows, and that waits for an answer. */
async function waiting(world: World): Promise<readonly Started[]> {
  await must(world, ['create', box]);
  await must(world, ['start', box]);
  const asks = world.start(['exec', box, '--', 'curl', '-sS', '-m', '25', 'https://sink.example.com/asked']);
  for (let round = 0; (await waitingId(world)) === undefined; round += 1) {
    if (round > 100) {
      throw new Error('no request waits');
    }
    await sleep(50);
  }
  return [asks];
}

interface Listed {
  readonly id: string;
  readonly state: string;
}

async function waitingId(world: World): Promise<string | undefined> {
  const { out } = await world.run(['requests', '--json']);
  const rows = JSON.parse(out || '[]') as readonly Listed[];
  return rows.find(({ state }) => state === 'waiting')?.id;
}

/** An answer by its id, which is asked for before anything goes wrong. */
function answer(name: string, { words, action }: { readonly words: readonly string[]; readonly action: string }): Step {
  let id = '';
  return {
    name,
    role: 'daemon',
    async prepare(world) {
      const busy = await waiting(world);
      id = (await waitingId(world)) ?? '';
      return busy;
    },
    act: async (world) => [await world.run([words[0] ?? '', id, ...words.slice(1)])],
    check: (_, done) => claimFaults(done.lines, [{ action, isReported: succeeded(done.outcomes[0]) }]),
  };
}

async function projectPolicy(world: World, nonce: string): Promise<string> {
  const folder = join(world.root, 'other');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'casemate.yaml');
  writeFileSync(path, `version: 1 # ${nonce}\nnetwork:\n  - host: granted.example.com\n`);
  await world.handOver();
  return path;
}

async function trustFaults(world: World, done: Done): Promise<readonly string[]> {
  const isReported = succeeded(done.outcomes[0]);
  // No one is there to answer: it works only where nothing has to be approved.
  const again = await world.run(['policy', 'trust', join(world.root, 'other/casemate.yaml')]);
  return [
    ...claimFaults(done.lines, [{ action: 'policy.trust', isReported }]),
    ...(isReported && again.code !== 0 ? ['an approval was reported, and is asked for again'] : []),
  ];
}

/** The policy of the user is what it was or what was approved, and whole. */
function policyFaults(world: World, done: Done, before: string): readonly string[] {
  const path = join(world.paths.config, 'policy.yaml');
  const now = readFileSync(path, 'utf8');
  writeFileSync(path, before);
  const isChanged = now.includes('/asked');
  return isChanged || (now === before && !succeeded(done.outcomes[0]))
    ? []
    : ['the policy of the user is neither the old one nor the new one'];
}

const inPolicy = answer('approve-policy', { words: ['approve', '--policy', '--yes'], action: 'ask.approve' });
/** of the user, while a step has put another one in its place */
let policyBefore = '';

export const requestSteps: readonly Step[] = [
  {
    name: 'policy-trust',
    role: 'daemon',
    async prepare(world) {
      // Where the user's own policy names hosts, a project may ask for no others.
      policyBefore = readFileSync(join(world.paths.config, 'policy.yaml'), 'utf8');
      writeFileSync(join(world.paths.config, 'policy.yaml'), 'version: 1\n');
    },
    act: async (world, nonce) => [await world.run(['policy', 'trust', await projectPolicy(world, nonce), '--yes'])],
    async check(world, done) {
      const faults = await trustFaults(world, done);
      writeFileSync(join(world.paths.config, 'policy.yaml'), policyBefore);
      return faults;
    },
  },
  answer('approve-once', { words: ['approve', '--once', '--yes'], action: 'ask.approve' }),
  answer('approve-sandbox', { words: ['approve', '--sandbox', '--yes'], action: 'ask.approve' }),
  answer('deny', { words: ['deny'], action: 'ask.deny' }),
  {
    ...inPolicy,
    role: 'caller',
    async prepare(world) {
      policyBefore = readFileSync(join(world.paths.config, 'policy.yaml'), 'utf8');
      return await inPolicy.prepare?.(world);
    },
    mayLeave: /^file casemate\/config\/\.policy\.yaml\./,
    async check(world, done) {
      // The next daemon takes the draft of a killed caller away.
      await must(world, ['daemon', 'stop', '--force']);
      await must(world, ['ls']);
      return policyFaults(world, done, policyBefore);
    },
  },
  {
    name: 'learn',
    role: 'caller',
    mayLeave: /^file tmp\/casemate-learn-/,
    act: async (world) => [await world.run(['learn', '--closed', '--', 'true'])],
    async check(world) {
      // Who is killed leaves its copy; who comes next takes it away.
      const { code, err } = await world.run(['learn', '--closed', '--', 'true']);
      const left = await readdir(join(world.root, 'tmp'));
      return [...(code === 0 ? [] : [`learn does not work any more: ${err}`]), ...left.map((name) => `${name} is left`)];
    },
  },
];
