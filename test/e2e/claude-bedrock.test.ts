import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startBedrock, type BedrockApi } from '../helpers/bedrock-api.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** The real Claude Code at Bedrock: it signs with phantom keys, and Bedrock sees what the real ones have signed. */

const keys = { accessKeyId: 'AKIAREALREALREALREAL', secretAccessKey: 'realSecret/9f8e7d6c5b4a39281706+AAAA' };
const region = 'eu-west-1';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['claude'])))('Claude Code at Bedrock', () => {
  let home: Home;
  let api: BedrockApi;

  beforeAll(async () => {
    home = await makeHome();
    api = await startBedrock(keys, 'an answer of Bedrock');
    const upstream = `upstream: "http://127.0.0.1:${api.port}"`;
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeFile(
      join(home.paths.config, 'policy.yaml'),
      `version: 1
agent: { name: claude, provider: bedrock, region: ${region} }
network:
  - { host: bedrock-runtime.${region}.amazonaws.com, ${upstream} }
  - { host: bedrock.${region}.amazonaws.com, ${upstream} }
credentials:
  aws: { provider: aws, source: { env: MY_KEYS } }
`,
    );
  });
  afterAll(async () => {
    api.close();
    await home.remove();
  });

  test(
    'answers a prompt; every request is signed with the real keys, and none shows a phantom',
    { timeout: 180_000 },
    async () => {
      const env = { MY_KEYS: `${keys.accessKeyId}:${keys.secretAccessKey}` };
      const script = 'echo "$AWS_ACCESS_KEY_ID"; claude -p "say it"';
      const { code, out } = await home.casemate(['run', '--', 'sh', '-c', script], { env, timeoutMs: 120_000 });
      expect(code).toBe(0);
      expect(out).toMatch(/^ASIACMPH[A-Z2-7]{12}\nan answer of Bedrock\n$/);
      expect(api.seen.map(({ fault }) => fault)).toEqual(api.seen.map(() => undefined));
      expect(api.seen.map(({ target }) => target)).toContainEqual(
        expect.stringMatching(/^\/model\/[^/]+\/invoke-with-response-stream$/),
      );
      expect(JSON.stringify(api.seen)).not.toContain('CMPH');
      const denied = await home.casemate(['journal', 'query', '--decision', 'deny', '--json']);
      expect(denied.out).toBe('');
    },
  );
});
