/**
 * What a credential in a file looks like. The patterns are few and exact on purpose: each is a known format, none is a guess.
 */
export interface SecretPattern {
  readonly name: string;
  /** POSIX extended expression, without groups that capture */
  readonly expression: string;
}

export const secretPatterns: readonly SecretPattern[] = [
  // The body must follow: programs and manuals name the first line alone.
  { name: 'private key', expression: '^-----BEGIN ([A-Z0-9]+ )?PRIVATE KEY( BLOCK)?-----$' },
  { name: 'Anthropic key', expression: 'sk-ant-[a-z]{2,8}[0-9]{2}-[A-Za-z0-9_-]{40,}' },
  { name: 'OpenAI key', expression: 'sk-(proj|svcacct|admin)-[A-Za-z0-9_-]{40,}' },
  { name: 'GitHub token', expression: '(ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36}' },
  { name: 'GitHub token', expression: 'github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}' },
  { name: 'GitLab token', expression: 'glpat-[A-Za-z0-9_-]{20}' },
  { name: 'AWS access key', expression: '(^|[^A-Z0-9])(AKIA|ASIA)[A-Z2-7]{16}($|[^A-Z0-9])' },
  { name: 'npm token', expression: 'npm_[A-Za-z0-9]{36}' },
  { name: 'npm login', expression: '^[^#; ]*:_(authToken|auth|password)[ ]*=[ ]*[A-Za-z0-9+/=_-]{16,}' },
  { name: 'Slack token', expression: 'xox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}' },
  { name: 'login in an address', expression: '^[^#]*https?://[A-Za-z0-9._%+-]+:[A-Za-z0-9_%+.-]{12,}@[a-z0-9.-]+' },
];

/** Files that hold secrets by their name. */
export const secretFileNames =
  /(?:^|\/)(?:\.env(?:\.(?:local|production|development))?|id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.git-credentials|\.pgpass|\.credentials\.json|\.docker\/config\.json|\.aws\/credentials)$/;
