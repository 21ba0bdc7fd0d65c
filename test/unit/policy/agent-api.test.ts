import { describe, expect, test } from 'vitest';

import { agents } from '../../../src/agents/agents.ts';
import { formatHostPattern } from '../../../src/policy/matching/host-pattern.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { resolvePolicy } from '../../../src/policy/layers/resolve-policy.ts';
import { projectGrants } from '../../../src/policy/layers/project-grants.ts';
import { facts, layer } from './samples.ts';

/** An agent whose model is at another provider: its hosts, its credential, and what a person has to say. */

function resolved(agent: string, kind: 'user' | 'project' = 'user'): Policy {
  return resolvePolicy({ [kind]: layer(kind, `agent: ${agent}\n`) }, { ...facts, agents }, { folder: '/work/here' });
}

function rules({ network }: Policy): readonly (readonly [string, string | undefined])[] {
  return network.map(({ host, credential }) => [formatHostPattern(host), credential]);
}

describe('Claude Code', () => {
  test('at Bedrock has the hosts of its region, with AWS keys, and not those of its maker', () => {
    const policy = resolved('{ name: claude, provider: bedrock, region: eu-west-1 }');
    expect(rules(policy)).toEqual([
      ['bedrock-runtime.eu-west-1.amazonaws.com', 'aws'],
      ['bedrock.eu-west-1.amazonaws.com', 'aws'],
    ]);
    expect(policy.credentials.map(({ name, source }) => [name, source.kind])).toEqual([['aws', 'first']]);
  });

  test.each([
    ['europe-west1', 'europe-west1-aiplatform.googleapis.com'],
    ['global', 'aiplatform.googleapis.com'],
  ])('at Vertex in %s has the one host and the project it is for', (region, host) => {
    const policy = resolved(`{ name: claude, provider: vertex, region: ${region}, project: my-project }`);
    expect(rules(policy)).toEqual([[host, 'google']]);
    expect(policy.network[0]?.http?.map(({ path }) => path)).toContain(
      `/v1/projects/my-project/locations/${region}/publishers/anthropic/models/*:rawPredict`,
    );
  });

  test.each([
    ['{ name: claude, provider: bedrok, region: eu-west-1 }', /casemate|policy.*:\d+:\d+.*has no provider "bedrok"/],
    ['{ name: claude, provider: bedrock }', /needs agent\.region/],
    ['{ name: claude, provider: vertex, region: global }', /needs agent\.project/],
    ['{ name: claude, region: eu-west-1 }', /agent\.region says nothing/],
    ['{ name: claude, provider: bedrock, region: eu-west-1, project: my-project }', /agent\.project says nothing/],
    ['{ name: codex, provider: bedrock, region: eu-west-1 }', /has no provider "bedrock"/],
    ['{ name: claude, provider: bedrock, region: ../x }', /is not a region/],
  ])('%s is refused', (agent, words) => {
    expect(() => resolved(agent)).toThrow(words);
  });

  test('a project that chooses the provider is shown for it, and grants nothing by itself', () => {
    const policy = resolved('{ name: claude, provider: bedrock, region: eu-west-1 }', 'project');
    expect(projectGrants(policy)).toContain('has the agent reach its model by bedrock in eu-west-1');
  });
});
