import { join } from 'node:path';

import { CasemateError, isCasemateError } from '../../base/errors.ts';
import { readKeychain } from '../../credentials/sources/keychain.ts';
import { readPrivateFile } from '../../system/private-file.ts';
import type { CommandContext } from '../command.ts';

/** Where an agent's own client keeps its login on this host. */

const maxBytes = 256 * 1024;

/** The text as it is there, and the place in words. Throws `CREDENTIAL_UNAVAILABLE` where there is none. */
export async function readHostLogin(agent: string, context: CommandContext): Promise<{ text: string; place: string }> {
  const token = agent === 'claude' ? context.env.get('CLAUDE_CODE_OAUTH_TOKEN') : undefined;
  if (token !== undefined) {
    return { text: token, place: 'the variable CLAUDE_CODE_OAUTH_TOKEN' };
  }
  const path = loginFile(agent, context);
  const fromFile = await readPrivateFile(path, { uid: context.uid, maxBytes }).catch((error: unknown) => {
    if (isCasemateError(error) && error.message.endsWith('does not exist')) {
      return undefined;
    }
    throw error;
  });
  if (fromFile !== undefined) {
    return { text: fromFile, place: path };
  }
  const fromKeychain = await keychainLogin(agent, context);
  if (fromKeychain === undefined) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', `there is no login of ${agent} on this host (looked at ${path})`, {
      hint: `Log in with a login of its own: casemate login ${agent}`,
    });
  }
  return { text: fromKeychain, place: 'the keychain' };
}

function loginFile(agent: string, { env }: CommandContext): string {
  const home = env.get('HOME') ?? '/';
  return agent === 'codex'
    ? join(env.get('CODEX_HOME') ?? join(home, '.codex'), 'auth.json')
    : join(env.get('CLAUDE_CONFIG_DIR') ?? join(home, '.claude'), '.credentials.json');
}

/** Claude Code keeps its login in the keychain of macOS under this name. */
async function keychainLogin(agent: string, { env }: CommandContext): Promise<string | undefined> {
  return agent === 'claude' && process.platform === 'darwin'
    ? await readKeychain({ service: 'Claude Code-credentials', account: env.get('USER') ?? '' }, { env })
    : undefined;
}
