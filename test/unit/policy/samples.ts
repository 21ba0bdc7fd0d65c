import { parseHost } from '../../../src/base/host.ts';
import type { Facts } from '../../../src/policy/facts.ts';
import { parsePolicy } from '../../../src/policy/written/parse.ts';
import type { PolicyLayer } from '../../../src/policy/written/policy-layer.ts';
import type { NetworkRule, Policy } from '../../../src/policy/policy.ts';
import { resolvePolicy } from '../../../src/policy/layers/resolve-policy.ts';

/** Facts, layers and rules for the tests of policy/. */

const host = (name: string, options: { telemetry?: boolean; credential?: boolean } = {}) => {
  return {
    host: name,
    ports: [443],
    http: undefined,
    credential: options.credential ?? false,
    telemetry: options.telemetry ?? false,
  };
};

export const facts: Facts = {
  home: '/home/user',
  stored: [],
  agents: {
    claude: {
      recipe: 'claude',
      provider: 'anthropic',
      hosts: [
        { ...host('api.anthropic.com', { credential: true }), http: [{ methods: ['POST'], path: '/v1/messages' }] },
        host('telemetry.example', { telemetry: true }),
      ],
    },
    codex: { recipe: 'codex', provider: 'openai', hosts: [host('api.openai.com', { credential: true })] },
  },
  registries: {
    npm: [{ host: parseHost('registry.example'), port: 443, upstream: undefined }],
    debian: [{ host: parseHost('debian.example'), port: 80, upstream: undefined }],
    pypi: [],
  },
};

const sources = {
  organisation: '/etc/casemate/policy.yaml',
  user: '/home/user/.config/casemate/policy.yaml',
  project: '/work/project/casemate.yaml',
};
const folders = { organisation: '/etc/casemate', user: '/home/user/.config/casemate', project: '/work/project' };

export function layer(kind: keyof typeof sources, text: string): PolicyLayer {
  const workspaceFolder = kind === 'project' ? folders.project : '/work/here';
  return parsePolicy({ kind, source: sources[kind], folder: folders[kind], workspaceFolder, text: `version: 1\n${text}` });
}

export interface Texts {
  readonly organisation?: string | undefined;
  readonly user?: string | undefined;
  readonly project?: string | undefined;
}

export function resolveTexts(texts: Texts, commandLine?: PolicyLayer): Policy {
  const of = (kind: keyof typeof sources) => (texts[kind] === undefined ? undefined : layer(kind, texts[kind]));
  const layers = { organisation: of('organisation'), user: of('user'), project: of('project'), commandLine };
  return resolvePolicy(layers, facts, { folder: '/work/here' });
}

/** The error code and message of what a function throws, the hint after ` | `. */
export function thrownBy(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      const hint = 'hint' in error && typeof error.hint === 'string' ? ` | ${error.hint}` : '';
      return `${String(error.code)} ${error.message}${hint}`;
    }
    throw error;
  }
  return 'nothing was thrown';
}

export function rule(pattern: string, more: Partial<NetworkRule> = {}): NetworkRule {
  const below = pattern.startsWith('*.');
  return {
    id: `test:${pattern}`,
    host: { kind: below ? 'below' : 'exact', host: parseHost(below ? pattern.slice(2) : pattern) },
    ports: [443],
    credential: undefined,
    http: undefined,
    upstream: undefined,
    origin: { layer: 'user', source: '/p.yaml', line: 1, column: 1 },
    ...more,
  };
}
