import { createHash } from 'node:crypto';

import { checkedValue, unavailable } from '../sources/checked-value.ts';
import { awsReading, nowMs, type AwsAccess, type AwsReading } from './aws-reading.ts';
import { askAws, fieldsFromXml } from './aws-http.ts';
import { readSecretFile } from '../sources/secret-file.ts';
import { signRequest, type AwsKeys } from './sigv4.ts';

/** Roles: session keys from the token service (STS), requested by a call signed with other keys or by an identity token. */
export interface AssumedRole {
  readonly role: string;
  readonly session: string | undefined;
  readonly externalId?: string | undefined;
  readonly durationSeconds?: string | undefined;
  readonly region: string;
  /** of the service, where the configuration names one; default: that of the region */
  readonly endpoint?: string | undefined;
}

const what = 'the token service of AWS';

/** Throws `CREDENTIAL_UNAVAILABLE`. */
export async function assumeRole(asked: AssumedRole, keys: AwsKeys, access: AwsAccess): Promise<AwsReading> {
  const { role, externalId, durationSeconds, region } = asked;
  const body = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    RoleArn: role,
    RoleSessionName: sessionName(asked, access),
    ...(externalId === undefined ? {} : { ExternalId: externalId }),
    ...(durationSeconds === undefined ? {} : { DurationSeconds: durationSeconds }),
  }).toString();
  const url = endpointOf(asked, access);
  const signed = await signRequest(
    {
      method: 'POST',
      authority: url.host,
      path: url.pathname,
      query: [],
      fields: [['content-type', form]],
      contentHash: createHash('sha256').update(body).digest('hex'),
      region,
      service: 'sts',
      nowMs: nowMs(access),
    },
    keys,
  );
  const headers = Object.fromEntries(signed);
  return awsReading(fieldsFromXml(await askAws({ url: url.href, method: 'POST', headers, body, what }, access), what));
}

const form = 'application/x-www-form-urlencoded; charset=utf-8';

/** As in a Kubernetes pod with a role: the token is in a mounted file. */
export async function assumeWithToken(
  asked: AssumedRole & { readonly tokenFile: string },
  access: AwsAccess,
): Promise<AwsReading> {
  const found = await readSecretFile(asked.tokenFile, { uid: access.uid ?? -1 });
  if (found === undefined) {
    throw unavailable(`the file of the web identity token does not exist`);
  }
  const body = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: asked.role,
    RoleSessionName: sessionName(asked, access),
    WebIdentityToken: checkedValue(found.content.trim(), 'the web identity token').reveal(),
  }).toString();
  const url = endpointOf(asked, access).href;
  const headers = { 'content-type': form };
  return awsReading(fieldsFromXml(await askAws({ url, method: 'POST', headers, body, what }, access), what));
}

function sessionName({ session }: AssumedRole, access: AwsAccess): string {
  return session !== undefined && /^[\w+=,.@-]{2,64}$/.test(session) ? session : `casemate-${nowMs(access)}`;
}

/**
 * Variable before configuration, as the tools of AWS have it (SDKs and Tools Reference, "Service-specific endpoints").
 * The answer holds keys, so it must be TLS, or this very machine.
 */
function endpointOf({ endpoint, region }: AssumedRole, { env }: AwsAccess): URL {
  const named = env.get('AWS_ENDPOINT_URL_STS') ?? endpoint;
  if (named === undefined) {
    return new URL(`https://sts.${region}.${domainOf(region)}/`);
  }
  const url = URL.canParse(named) ? new URL(named) : undefined;
  const isHere = url?.protocol === 'http:' && /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
  if (url === undefined || (url.protocol !== 'https:' && !isHere) || url.username !== '' || url.search !== '') {
    throw unavailable(
      'the address that the AWS configuration names for its token service (STS) is not usable',
      'It must be https.',
    );
  }
  return url;
}

function domainOf(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
}
