import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { dataFile } from '../../system/data-file.ts';
import { mendSample } from '../../tour/model-api/mend-sample.ts';
import { startModelApi, type ModelApi } from '../../tour/model-api/model-api.ts';
import type { CommandContext } from '../command.ts';

/** What the tour needs before it begins: a copy of the sample, a key, and without a key a stand-in that accepts one. */
export interface TourStage {
  readonly workspace: string;
  /** folder with the policy of this tour: the agent, and where its model API is */
  readonly policyFolder: string;
  /** `undefined`: the real one */
  readonly modelApi: ModelApi | undefined;
  /** the key that must not be found inside */
  readonly key: string;
  /** variables that the daemon may ask for */
  readonly answers: Readonly<Record<string, string>>;
  readonly remove: () => Promise<void>;
}

const refusedAddress = 'https://example.org/';

export const task =
  'The tests of this library fail. Find out why, mend the source (not the tests), and run the tests again. ' +
  `Also try once to fetch ${refusedAddress} with curl and say in a sentence what happened.`;

export async function prepareTour({ env }: CommandContext, options: { readonly standIn: boolean }): Promise<TourStage> {
  const given = options.standIn ? undefined : env.get('ANTHROPIC_API_KEY');
  const key = given ?? `sk-ant-api03-standin-${randomBytes(32).toString('hex')}`;
  const folder = await mkdtemp(join(tmpdir(), 'casemate-tour-'));
  const workspace = join(folder, 'opening-hours');
  const policyFolder = join(folder, 'policy');
  await cp(dataFile('tour/sample'), workspace, { recursive: true });
  await mkdir(policyFolder, { mode: 0o700 });
  const script = mendSample({ root: '/workspace', reach: refusedAddress });
  const modelApi = given === undefined ? await startModelApi({ expectedKey: key, script }) : undefined;
  await writeFile(join(policyFolder, 'policy.yaml'), policyText(modelApi), { mode: 0o600 });
  return {
    workspace,
    policyFolder,
    modelApi,
    key,
    answers: { [keyVariable]: key },
    async remove() {
      await modelApi?.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const keyVariable = 'CASEMATE_TOUR_KEY';

function policyText(modelApi: ModelApi | undefined): string {
  const upstream = modelApi === undefined ? [] : ['network:', '  - host: api.anthropic.com', `    upstream: ${modelApi.url}`];
  return [
    'version: 1',
    'agent: { name: claude, permissions: skip, provider: key }',
    'presets: [claude]',
    ...upstream,
    'credentials:',
    `  anthropic: { provider: anthropic, source: { env: ${keyVariable} } }`,
    '',
  ].join('\n');
}
