import type { RegistryKind } from './facts.ts';
import type { CredentialSource } from './policy.ts';

/** Credential providers as a policy sees them: where the key is found by default, and the only hosts it may ever go to. */
export interface PolicyProvider {
  /** where the key is where no policy says otherwise, in this order; the store of this installation is behind them */
  readonly sources: readonly CredentialSource[];
  /** exact names and `*.` patterns; a rule that binds the key elsewhere must stand in an organisation's or the user's own file */
  readonly hosts: readonly string[];
  /** it is the login of this agent, which is at no other place */
  readonly login?: string | undefined;
  /** the hosts of this machine's own package sources as well */
  readonly registry?: RegistryKind | undefined;
}

function env(name: string): CredentialSource {
  return { kind: 'env', name };
}

/** Each is also a credential of the same name that exists without being defined. */
export const policyProviders: Readonly<Record<string, PolicyProvider>> = {
  anthropic: { sources: [env('ANTHROPIC_API_KEY')], hosts: ['api.anthropic.com'] },
  openai: { sources: [env('OPENAI_API_KEY')], hosts: ['api.openai.com'] },
  'claude-login': { sources: [], login: 'claude', hosts: ['api.anthropic.com', 'platform.claude.com'] },
  'codex-login': { sources: [], login: 'codex', hosts: ['chatgpt.com', 'auth.openai.com'] },
  github: {
    sources: [env('GH_TOKEN'), env('GITHUB_TOKEN')],
    hosts: [
      'github.com',
      'gist.github.com',
      'api.github.com',
      'uploads.github.com',
      'raw.githubusercontent.com',
      '*.pkg.github.com',
      'ghcr.io',
    ],
  },
  npm: { sources: [env('NPM_TOKEN')], hosts: [], registry: 'npm' },
  pypi: { sources: [env('PYPI_TOKEN')], hosts: [], registry: 'pypi' },
  aws: { sources: [{ kind: 'aws', profile: undefined }], hosts: ['*.amazonaws.com', '*.api.aws', '*.on.aws'] },
  google: { sources: [env('GEMINI_API_KEY'), env('GOOGLE_API_KEY')], hosts: ['*.googleapis.com'] },
  azure: {
    sources: [env('AZURE_OPENAI_API_KEY')],
    hosts: ['*.openai.azure.com', '*.cognitiveservices.azure.com', '*.services.ai.azure.com'],
  },
};
