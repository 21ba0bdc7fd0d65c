import { CasemateError } from '../base/errors.ts';
import { awsKeysOf } from '../credentials/aws/aws-keys.ts';
import { secret } from '../credentials/secret.ts';

/**
 * Keys in the arguments of a call, as the credentials of one sandbox. They go to the daemon, which seals them, and nowhere else.
 */
export interface KeyArguments {
  readonly agent: string | undefined;
  /** credential that the agent uses at its maker's; `undefined`: none */
  readonly agentCredential: string | undefined;
  readonly apiKey?: string | undefined;
  readonly useBedrock: boolean;
  readonly awsRegion?: string | undefined;
  readonly awsAccessKeyId?: string | undefined;
  readonly awsSecretAccessKey?: string | undefined;
  readonly awsSessionToken?: string | undefined;
}

export interface SessionKeys {
  readonly provider: 'key' | 'bedrock' | undefined;
  readonly region: string | undefined;
  /** by name of the credential */
  readonly keys: Readonly<Record<string, string>>;
}

/** Throws `USAGE` for arguments that do not go together; no value is in the error. */
export function sessionKeys(asked: KeyArguments): SessionKeys {
  const { apiKey, useBedrock } = asked;
  if (useBedrock) {
    return bedrock(asked);
  }
  const stray = awsArguments(asked).find(([, value]) => value !== undefined);
  if (stray !== undefined) {
    throw usage(`${stray[0]} is given without useBedrock`, 'Say useBedrock: true, or leave it out.');
  }
  if (apiKey === undefined) {
    return { provider: undefined, region: undefined, keys: {} };
  }
  const provider = asked.agentCredential;
  if (provider === undefined) {
    throw usage('apiKey is given, but no agent that would use it', 'Name the agent, or leave the key out.');
  }
  return { provider: 'key', region: undefined, keys: { [provider]: apiKey } };
}

function awsArguments({ awsRegion, awsAccessKeyId, awsSecretAccessKey, awsSessionToken }: KeyArguments) {
  return Object.entries({ awsRegion, awsAccessKeyId, awsSecretAccessKey, awsSessionToken });
}

function bedrock(asked: KeyArguments): SessionKeys {
  const { agent, apiKey, awsRegion, awsAccessKeyId, awsSecretAccessKey, awsSessionToken } = asked;
  if (agent !== 'claude') {
    throw usage(`useBedrock is for the agent claude, not for ${agent ?? 'none'}`, 'Leave it out, or name that agent.');
  }
  if (apiKey !== undefined) {
    throw usage('apiKey and useBedrock are both given', 'Give one of them.');
  }
  if (awsRegion === undefined) {
    throw usage('useBedrock needs awsRegion', 'For example: awsRegion: "eu-west-1".');
  }
  if (awsAccessKeyId === undefined && awsSecretAccessKey === undefined && awsSessionToken === undefined) {
    return { provider: 'bedrock', region: awsRegion, keys: {} };
  }
  if (awsAccessKeyId === undefined || awsSecretAccessKey === undefined) {
    throw usage('of the AWS keys, one is given without the other', 'Give awsAccessKeyId and awsSecretAccessKey, or none.');
  }
  const text = [awsAccessKeyId, awsSecretAccessKey, ...(awsSessionToken === undefined ? [] : [awsSessionToken])].join(':');
  // What is no pair of keys is said now, not at the first request.
  awsKeysOf({ kind: 'text', secret: secret(text) });
  return { provider: 'bedrock', region: awsRegion, keys: { aws: text } };
}

function usage(message: string, hint: string): CasemateError {
  return new CasemateError('USAGE', message, { hint });
}
