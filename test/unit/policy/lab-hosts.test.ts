import { expect, test } from 'vitest';

import { isLabRule, labAwsHost, labDomain } from '../../../src/policy/layers/lab-hosts.ts';
import { resolvePolicy } from '../../../src/policy/layers/resolve-policy.ts';
import { hosts } from '../../../src/proof/lab/hosts.ts';
import { facts, layer, resolveTexts, thrownBy } from './samples.ts';

/** A proof is made under whatever policy an organisation has: the hosts of its lab are beside it, and nothing else is. */

const organisation = 'network: [{ host: api.example.com, allow: ["GET /v1/**"] }]\nlimits: { pids: 100 }';
const user =
  'network: [{ host: api.example.com, allow: ["GET /v1/models"] }, { host: opened.proof.test, upstream: "https://127.0.0.1:1" }]';

function inLab(texts: { organisation: string; user?: string; project?: string }) {
  const layers = {
    organisation: layer('organisation', texts.organisation),
    user: texts.user === undefined ? undefined : layer('user', texts.user),
    project: texts.project === undefined ? undefined : layer('project', texts.project),
    commandLine: undefined,
  };
  return resolvePolicy(layers, facts, { folder: '/work/here', isUnbound: isLabRule });
}

test('outside of a lab such a host is one like any other', () => {
  expect(thrownBy(() => resolveTexts({ organisation, user }))).toContain('opened.proof.test:443');
});

test('in a lab its hosts are reached, within what nobody can exceed, and the rest stays as narrow', () => {
  const policy = inLab({ organisation, user });
  const reached = ({ network }: { network: typeof policy.network }) => network.map(({ host }) => host.host);
  expect(reached(policy)).toEqual(['api.example.com', 'opened.proof.test']);
  expect(policy.bound?.map(({ host }) => host.host)).toEqual(['api.example.com', 'opened.proof.test']);
  expect(policy.limits.pids).toBe(100);
});

test.each([
  ['another host', 'network: [{ host: other.example.com }]'],
  ['a host that ends alike', 'network: [{ host: opened.not-proof.test }, { host: x.notproof.test }]'],
  ['a name that its name is part of', 'network: [{ host: proof.test.example.com }]'],
  ['a host beside the one of AWS', `network: [{ host: "x.${labAwsHost}" }]`],
  ['hosts below the one of AWS', `network: [{ host: "*.${labAwsHost}" }]`],
  ['more functions', 'network: [{ host: api.example.com, allow: ["POST /v1/models"] }]'],
])('in a lab, too, the organisation bounds %s', (_, text) => {
  expect(thrownBy(() => inLab({ organisation, user: text }))).toMatch(/which is not what|with more functions than/);
});

test("in a lab, too, a project cannot name the lab's hosts by itself", () => {
  const project = 'network: [{ host: opened.proof.test }]';
  expect(thrownBy(() => inLab({ organisation, project }))).toContain('opened.proof.test');
  expect(thrownBy(() => inLab({ organisation, user: 'limits: { pids: 50 }', project }))).toContain('opened.proof.test');
});

test('every host of the lab lies below the reserved name, but the one of AWS, in a region that is not there', () => {
  expect(Object.values(hosts).filter((host) => !host.endsWith(`.${labDomain}`))).toEqual([labAwsHost]);
});
