import { createHash } from 'node:crypto';

import { checkedValue, unavailable } from './checked-value.ts';
import { awsReading, nowMs, type AwsAccess, type AwsReading } from './aws-reading.ts';
import { askAws, fieldsFromXml } from './aws-http.ts';
import { readSecretFile } from './secret-file.ts';
import { signRequest, type AwsKeys } from './sigv4.ts';

/** Roles: session keys from the token service (STS), by a call signed with other keys or by a token of an identity. */
export interface AssumedRole {
  readonly role: string;
  readonly session: string | undefined;
  readonly externalId?: string | undefined;
  readonly durationSeconds?: string | undefined;
  readonly region: string;
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
  const authority = `sts.${region}.${domainOf(region)}`;
  const signed = await signRequest(
    {
      method: 'POST',
      authority,
      path: '/',
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
  return awsReading(
    fieldsFromXml(await askAws({ url: `https://${authority}/`, method: 'POST', headers, body, what }, access), what),
  );
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
  const url = `https://sts.${asked.region}.${domainOf(asked.region)}/`;
  const headers = { 'content-type': form };
  return awsReading(fieldsFromXml(await askAws({ url, method: 'POST', headers, body, what }, access), what));
}

function sessionName({ session }: AssumedRole, access: AwsAccess): string {
  return session !== undefined && /^[\w+=,.@-]{2,64}$/.test(session) ? session : `casemate-${nowMs(access)}`;
}

function domainOf(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
}
