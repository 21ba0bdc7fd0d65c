import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { visible } from '../../base/text.ts';
import { stampOf } from '../../system/file-stamp.ts';
import { readTextIfPresent } from '../../system/files.ts';
import { unavailable } from '../sources/checked-value.ts';
import { awsReading, fromVariables, nowMs, regionOf, type AwsAccess, type AwsReading } from './aws-reading.ts';
import { askAws, fieldsFromJson, parsed } from './aws-http.ts';
import { fromContainer, fromInstance } from './aws-metadata.ts';
import { assumeRole, assumeWithToken } from './aws-sts.ts';
import { readCommand } from '../sources/command-source.ts';
import { splitWords } from './split-words.ts';

/** Profiles of `~/.aws/config` and `~/.aws/credentials`: keys, roles behind other profiles, sign-on sessions, programs. */

type Profile = Readonly<Record<string, string | undefined>>;
type Profiles = Readonly<Record<string, Profile>>;

export async function hasProfiles(access: AwsAccess): Promise<boolean> {
  return (await readProfiles(access))['default'] !== undefined;
}

/** Throws `CREDENTIAL_UNAVAILABLE` naming the profile; roles are followed through at most 8 profiles, and in no circle. */
export async function readProfile(name: string, access: AwsAccess): Promise<AwsReading> {
  return await follow(name, { profiles: await readProfiles(access), seen: [], access });
}

interface Following {
  readonly profiles: Profiles;
  readonly seen: readonly string[];
  readonly access: AwsAccess;
}

async function follow(name: string, following: Following): Promise<AwsReading> {
  const { profiles, seen } = following;
  const profile = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (profile === undefined) {
    throw unavailable(
      `there is no AWS profile "${visible(name)}"`,
      `Known: ${Object.keys(profiles).map(visible).join(', ') || 'none'}.`,
    );
  }
  // A profile that names itself as its source means its own keys.
  const isOwnSource = seen.at(-1) === name;
  if (!isOwnSource && seen.includes(name)) {
    throw unavailable(`the AWS profiles ${[...seen, name].map(visible).join(' -> ')} go in a circle`);
  }
  if (seen.length > 8) {
    throw unavailable(`the AWS profile "${visible(seen[0] ?? name)}" leads through more than 8 others`);
  }
  const next = { ...following, seen: [...seen, name] };
  return profile['role_arn'] !== undefined && !isOwnSource
    ? await assume(profile, name, next)
    : await readOwn(profile, name, next);
}

async function readOwn(profile: Profile, name: string, following: Following): Promise<AwsReading> {
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey, aws_session_token: sessionToken } = profile;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return awsReading({ accessKeyId, secretAccessKey, sessionToken, expires: undefined });
  }
  if (profile['sso_account_id'] !== undefined) {
    return await fromSignOn(profile, name, following);
  }
  if (profile['credential_process'] !== undefined) {
    const text = await readCommand(splitWords(profile['credential_process']), following.access);
    return awsReading(fieldsFromJson(text, `the program of the AWS profile "${visible(name)}"`));
  }
  throw unavailable(`the AWS profile "${visible(name)}" says nothing of keys that is understood here`);
}

async function assume(profile: Profile, name: string, following: Following): Promise<AwsReading> {
  const { access } = following;
  const role = {
    role: profile['role_arn'] ?? '',
    session: profile['role_session_name'],
    externalId: profile['external_id'],
    durationSeconds: profile['duration_seconds'],
    region: profile['region'] ?? regionOf(access.env),
    endpoint: endpointIn(profile, following.profiles),
  };
  if (profile['mfa_serial'] !== undefined) {
    throw unavailable(`the AWS profile "${visible(name)}" asks for a code of a device each time, which cannot be given here`);
  }
  const tokenFile = profile['web_identity_token_file'];
  if (tokenFile !== undefined) {
    return await assumeWithToken({ ...role, tokenFile }, access);
  }
  const source = profile['source_profile'];
  const { material } = source === undefined ? await fromNamed(profile, name, access) : await follow(source, following);
  if (material.kind !== 'aws') {
    throw unavailable(`the source of the AWS profile "${visible(name)}" gives no keys`);
  }
  return await assumeRole(role, material, access);
}

/** `services = NAME` leads to a section with the addresses of single services. */
function endpointIn(profile: Profile, profiles: Profiles): string | undefined {
  return profiles[`services.${profile['services'] ?? ''}`]?.['sts.endpoint_url'];
}

async function fromNamed(profile: Profile, name: string, access: AwsAccess): Promise<AwsReading> {
  const places: Readonly<Record<string, () => AwsReading | undefined | Promise<AwsReading | undefined>>> = {
    Environment: () => fromVariables(access.env),
    EcsContainer: () => fromContainer(access),
    Ec2InstanceMetadata: () => fromInstance(access),
  };
  const place = profile['credential_source'] ?? '';
  const found = Object.hasOwn(places, place) ? await places[place]?.() : undefined;
  if (found === undefined) {
    throw unavailable(`the AWS profile "${visible(name)}" has a role, but no source of keys for it`);
  }
  return found;
}

/** By the session that `aws sso login` left: it is used, not renewed, for renewing it belongs to that tool. */
async function fromSignOn(profile: Profile, name: string, { profiles, access }: Following): Promise<AwsReading> {
  const session = profile['sso_session'];
  const settings: Profile = session === undefined ? profile : { ...profile, ...profiles[`sso-session.${session}`] };
  const { sso_start_url: startUrl, sso_region: region, sso_account_id: account, sso_role_name: role } = settings;
  const key = session ?? startUrl;
  if (key === undefined || region === undefined || account === undefined || role === undefined) {
    throw unavailable(`the AWS profile "${visible(name)}" does not say all that a sign-on needs`);
  }
  const cache = join(homeOf(access), '.aws', 'sso', 'cache', `${createHash('sha1').update(key).digest('hex')}.json`);
  const token = new Map<string, unknown>(Object.entries(parsed((await readTextIfPresent(cache)) ?? '')));
  const accessToken = token.get('accessToken');
  if (typeof accessToken !== 'string' || !(Date.parse(String(token.get('expiresAt'))) > nowMs(access))) {
    throw unavailable(
      `the sign-on of the AWS profile "${visible(name)}" has ended`,
      `Run: aws sso login --profile ${visible(name)}`,
    );
  }
  if (!/^[a-z0-9-]{1,32}$/.test(region)) {
    throw unavailable(`the AWS profile "${visible(name)}" names no region of a sign-on`);
  }
  const query = new URLSearchParams({ role_name: role, account_id: account });
  const what = 'the sign-on service of AWS';
  const url = `https://portal.sso.${region}.amazonaws.com/federation/credentials?${query.toString()}`;
  const text = await askAws({ url, headers: { 'x-amz-sso_bearer_token': accessToken }, what }, access);
  const inner = new Map<string, unknown>(Object.entries(parsed(text))).get('roleCredentials');
  return awsReading(fieldsFromJson(JSON.stringify(inner ?? {}), what));
}

async function readProfiles(access: AwsAccess): Promise<Profiles> {
  const { parseKnownFiles, loadSsoSessionData } = await import('@smithy/core/config');
  const { filepath, configFilepath } = filesOf(access);
  const profiles = await parseKnownFiles({ filepath, configFilepath, ignoreCache: true });
  const sessions = await loadSsoSessionData({ configFilepath });
  return { ...profiles, ...Object.fromEntries(Object.entries(sessions).map(([name, data]) => [`sso-session.${name}`, data])) };
}

interface ProfileFiles {
  readonly filepath: string;
  readonly configFilepath: string;
}

function filesOf(access: AwsAccess): ProfileFiles {
  const folder = join(homeOf(access), '.aws');
  return {
    filepath: access.env.get('AWS_SHARED_CREDENTIALS_FILE') ?? join(folder, 'credentials'),
    configFilepath: access.env.get('AWS_CONFIG_FILE') ?? join(folder, 'config'),
  };
}

/** Another text when one of the files was written since: their keys may be other ones, and nobody else says so. */
export async function profileStamp(access: AwsAccess & { readonly stampOf?: typeof stampOf }): Promise<string> {
  const { filepath, configFilepath } = filesOf(access);
  const look = access.stampOf ?? stampOf;
  return [await look(filepath), await look(configFilepath)].map((stamp) => stamp ?? 'none').join(' ');
}

function homeOf({ env }: AwsAccess): string {
  return env.get('HOME') ?? homedir();
}
