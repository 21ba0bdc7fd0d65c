import { visible } from '../../base/text.ts';
import type { LocalAnswer, LocalRequest, LocalResponder } from '../credential.ts';
import type { OAuthClient } from './oauth-clients.ts';
import type { StandInMaker } from './stand-ins.ts';

/**
 * The authorization server as a sandbox sees it. Renewals give new stand-ins, logging out changes nothing outside, and no one
 * can log in from there. No byte of these requests leaves the host.
 */
export function localLogin(client: OAuthClient, standIns: StandInMaker): LocalResponder {
  const tokenHost = new URL(client.server.tokenUrl).hostname;
  const tokenPath = new URL(client.server.tokenUrl).pathname;
  const revokePath = new URL(client.server.revokeUrl).pathname;
  return {
    // At hosts of the API, too, whatever a policy opens there: with these a sandbox could keep a login, or make itself a key.
    answers: ({ host, path }) => host === tokenHost || isKeyMaking(path),
    async answer(request) {
      if (request.host !== tokenHost || request.method !== 'POST') {
        return refusal(403, 'access_denied', refused);
      }
      if (request.path === revokePath) {
        return json(200, {});
      }
      return request.path === tokenPath ? renewal(request, standIns) : refusal(403, 'access_denied', refused);
    },
  };
}

function isKeyMaking(path: string): boolean {
  const plain = decodeLeniently(path).toLowerCase();
  return /\/oauth\/(?:token|authorize|revoke|claude_cli\/create_api_key)|\/deviceauth\//.test(plain);
}

function decodeLeniently(path: string): string {
  return path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const refused =
  'casemate: nobody logs in or out from inside a sandbox. The login is kept on the host; whoever runs the sandbox renews it there with: casemate login';

function renewal({ body }: LocalRequest & { readonly body: Buffer }, standIns: StandInMaker): LocalAnswer {
  const fields = readFields(body.toString('utf8'));
  if (fields.get('grant_type') !== 'refresh_token') {
    return refusal(403, 'access_denied', refused);
  }
  if (!standIns.isRefresh(fields.get('refresh_token') ?? '')) {
    return refusal(400, 'invalid_grant', 'casemate: this refresh token is not the one of this sandbox');
  }
  const { accessToken, refreshToken, idToken, expiresMs } = standIns.now();
  return json(200, {
    token_type: 'Bearer',
    access_token: accessToken,
    refresh_token: refreshToken,
    id_token: idToken,
    expires_in: Math.max(60, Math.floor((expiresMs - standIns.nowMs()) / 1000)),
    ...(fields.has('scope') ? { scope: visible(fields.get('scope') ?? '') } : {}),
  });
}

/** A JSON object or a form, texts alone. */
function readFields(text: string): ReadonlyMap<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
    return new Map(entries.flatMap(([name, one]) => (typeof one === 'string' ? [[name, one] as const] : [])));
  } catch {
    return new Map(new URLSearchParams(text));
  }
}

function refusal(status: number, error: string, description: string): LocalAnswer {
  return json(status, { error, error_description: description });
}

function json(status: number, value: unknown): LocalAnswer {
  const body = Buffer.from(JSON.stringify(value));
  const fields = [
    ['content-type', 'application/json'],
    ['cache-control', 'no-store'],
    ['x-should-retry', 'false'],
    ['request-id', 'req_casemate'],
  ] as const;
  return { status, fields, body };
}
