/** Providers of credentials as a policy sees them: where the key is by default, and to which hosts it may ever go. */
export interface PolicyProvider {
  /** variable of the host that holds the key where no policy says otherwise */
  readonly env: string;
  /** exact names; a rule that binds the key elsewhere must stand in an organisation's or the user's own file */
  readonly hosts: readonly string[];
}

/** Each is also a credential of the same name that exists without being defined. */
export const policyProviders: Readonly<Record<string, PolicyProvider>> = {
  anthropic: { env: 'ANTHROPIC_API_KEY', hosts: ['api.anthropic.com'] },
  openai: { env: 'OPENAI_API_KEY', hosts: ['api.openai.com'] },
};
