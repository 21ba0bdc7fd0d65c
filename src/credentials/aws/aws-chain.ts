import { isCasemateError } from '../../base/errors.ts';
import { fromContainer, fromInstance } from './aws-metadata.ts';
import { hasProfiles, readProfile } from './aws-profile.ts';
import { fromVariables, regionOf, type AwsAccess, type AwsReading } from './aws-reading.ts';
import { assumeWithToken } from './aws-sts.ts';

/**
 * Finds AWS credentials as the AWS tools would: variables, profiles, a web identity, the container, the instance. It does not
 * use the AWS SDK, which reads this process's own environment and runs `credential_process` through a shell.
 */
/** Variables of the caller that the chain looks at. */
export const awsVariables = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_PROFILE',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_EC2_METADATA_DISABLED',
  'AWS_ENDPOINT_URL_STS',
] as const;

/** `undefined` where nothing is configured. Throws `CREDENTIAL_UNAVAILABLE` where something is and gives nothing. */
export async function readAwsChain(
  { profile }: { readonly profile: string | undefined },
  access: AwsAccess,
): Promise<AwsReading | undefined> {
  const { env } = access;
  const named = profile ?? env.get('AWS_PROFILE');
  if (named !== undefined) {
    return await readProfile(named, access);
  }
  const own = fromVariables(env);
  if (own !== undefined) {
    return own;
  }
  if (await hasProfiles(access)) {
    return await readProfile('default', access);
  }
  const tokenFile = env.get('AWS_WEB_IDENTITY_TOKEN_FILE');
  const role = env.get('AWS_ROLE_ARN');
  if (tokenFile !== undefined && role !== undefined) {
    return await assumeWithToken({ role, tokenFile, session: env.get('AWS_ROLE_SESSION_NAME'), region: regionOf(env) }, access);
  }
  return (await fromContainer(access)) ?? (await fromInstanceIfAny(access));
}

/** Most machines are no instance: nothing there is no fault. */
async function fromInstanceIfAny(access: AwsAccess): Promise<AwsReading | undefined> {
  try {
    return await fromInstance(access);
  } catch (error) {
    if (isCasemateError(error)) {
      return undefined;
    }
    throw error;
  }
}
