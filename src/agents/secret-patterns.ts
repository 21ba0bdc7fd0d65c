/** Recognises texts that look like credentials, so that a file that contains one is not copied into a sandbox. */

/** Names of the forms, so that a refusal can say what was seen without showing it. */
const patterns: readonly (readonly [string, RegExp])[] = [
  ['an Anthropic key', /sk-ant-[A-Za-z0-9_-]{20,}/],
  ['an OpenAI key', /\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9]{32,}/],
  ['an AWS key id', /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/],
  ['a GitHub token', /\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}/],
  ['a GitLab token', /\bgl(?:pat|dt|rt|cbt|ptt|soat)-[A-Za-z0-9_-]{20,}/],
  ['a Slack token', /\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com\/services\/[A-Z0-9]+\/[A-Z0-9]+\/\w+/],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/],
  ['a PyPI token', /\bpypi-[A-Za-z0-9_-]{50,}/],
  ['a Google key', /\bAIza[A-Za-z0-9_-]{35}|\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}/],
  ['a Hugging Face token', /\bhf_[A-Za-z0-9]{30,}/],
  ['a Stripe key', /\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}/],
  ['a SendGrid key', /\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}/],
  ['an age key', /AGE-SECRET-KEY-1[A-Z0-9]{50,}/],
  ['a private key', /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/],
  ['a JSON web token', /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/],
  ['a password in an address', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@"'<>$`{}]{1,100}:[^\s/@"'<>$`{}]{3,200}@/i],
  ['an authorization header', /\b(?:bearer|basic)\s+(?=\S*\d)[A-Za-z0-9._~+/-]{20,}/i],
  [
    'an assigned secret',
    /\b[\w-]{0,40}(?:api[_-]?key|secret|token|passw(?:or)?d|credential)[\w-]{0,20}["']?\s{0,4}[:=]\s{0,4}["']?(?=[A-Za-z0-9/+_.~-]{0,200}\d)[A-Za-z0-9/+_.~-]{16,}/i,
  ],
];

/** The form of the first credential in `text`, e.g. `a GitHub token`; `undefined` where there is none. */
export function secretIn(text: string): string | undefined {
  return patterns.find(([, pattern]) => pattern.test(text))?.[0];
}

/** Whether a variable or a key of this name holds a secret by custom. */
export function isSecretName(name: string): boolean {
  return /key|token|secret|passw|credential|auth|cookie|session|private|bearer|headers/i.test(name);
}

/** Files that hold credentials by custom, whatever is in them. */
export function isSecretFile(name: string): boolean {
  return /^\.(?:env|netrc|npmrc|pypirc|git-credentials)|\.(?:pem|key|p12|pfx|jks|kdbx|age|asc|gpg)$|^id_(?:rsa|dsa|ecdsa|ed25519)|credentials/i.test(
    name,
  );
}
