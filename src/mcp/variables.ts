import { z } from 'zod';

/**
 * Variables that a caller may set for a command. Those that control loaders, shells, proxies and trust are refused: inside they
 * would only affect the caller's own command, but none of them is ever needed, and a policy can set them.
 */
const steering =
  /^(?:LD_.*|DYLD_.*|GCONV_PATH|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|BASH_ENV|ENV|PATH|IFS|PYTHONSTARTUP|PYTHONPATH|PERL5(?:LIB|OPT)|RUBYOPT|GIT_SSH(?:_COMMAND)?|GIT_CONFIG.*|DOCKER_HOST|(?:https?|all|no|ftp)_proxy|SSL_CERT_(?:FILE|DIR)|HOME|SHELL|CASEMATE_.*|AWS_.*|ANTHROPIC_.*|CLAUDE_.*)$/i;

export const variables = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable')
      .refine((name) => name !== '__proto__' && !steering.test(name), 'is a variable that no caller may set'),
    z
      .string()
      .max(32_768)
      .regex(/^[^\0]*$/, 'must not hold a NUL'),
  )
  .describe('variables of this command alone; those that steer loaders, shells, proxies, trust or agents are refused');
