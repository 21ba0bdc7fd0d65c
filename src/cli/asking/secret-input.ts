import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { plainName } from '../../base/plain-name.ts';
import { maxValueBytes, withoutLastLineFeed } from '../../credentials/sources/checked-value.ts';
import { readSource } from '../../credentials/sources.ts';
import type { CredentialSource } from '../../policy/policy.ts';
import type { CommandContext } from '../command.ts';
import { switchOption, textOption, type ParsedOptions } from '../reading/parse-options.ts';
import { readHiddenLine } from './hidden-line.ts';

/** Where a command takes a credential's value from: never from an argument, which every process of the machine can read. */

/** Exactly one name; what looks like a value behind it is refused without being shown. Throws `USAGE`. */
export function credentialName(parsed: ParsedOptions): string {
  const [name, ...more] = parsed.positionals;
  if (name === undefined) {
    throw new CasemateError('USAGE', 'NAME is missing', {
      hint: `For example: ${parsed.example ?? 'casemate credentials set github'}`,
    });
  }
  if (more.length > 0) {
    throw new CasemateError('USAGE', 'a value must not be an argument: other users can see it, and your shell keeps it', {
      hint: 'Take what you have just typed for known and replace it where it came from. Then run this with the name alone; the value is asked for.',
    });
  }
  if (!plainName.test(name)) {
    throw new CasemateError(
      'USAGE',
      'this is not the name of a credential; use lower-case letters, digits and hyphens, a letter first',
      {
        hint: 'Was it the value? Then take it for known, and replace it where it came from.',
      },
    );
  }
  return name;
}

/** Whether some option or a pipe gives the value. */
export function hasSecretOption(parsed: ParsedOptions): boolean {
  return ['from-env', 'from-file', 'from-command'].some((name) => parsed.values[name] !== undefined);
}

/** From the option given, else from a terminal without echo, else from standard input. Throws `CREDENTIAL_UNAVAILABLE`. */
export async function readSecret(parsed: ParsedOptions, context: CommandContext, prompt: string): Promise<string> {
  const source = sourceOption(parsed, context);
  if (source !== undefined) {
    const { material } = await readSource(source, { env: context.env, uid: context.uid });
    return material.kind === 'text' ? material.secret.reveal() : '';
  }
  return await typedOrPiped(context, {
    prompt,
    hint: 'Type or paste it when asked, pipe it in, or use --from-env, --from-file or --from-command.',
  });
}

/** `hint`: for when nothing comes. Throws `CREDENTIAL_UNAVAILABLE`. */
export async function typedOrPiped(
  context: CommandContext,
  { prompt, hint }: { readonly prompt: string; readonly hint: string },
): Promise<string> {
  const value = context.stdin.isTTY ? await readHiddenLine(context, prompt) : await readPipe(context.stdin);
  if (value === '') {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', 'no value was given; nothing was changed', { hint });
  }
  return value;
}

function sourceOption(parsed: ParsedOptions, { cwd }: CommandContext): CredentialSource | undefined {
  const variable = textOption(parsed, 'from-env');
  const file = textOption(parsed, 'from-file');
  const isCommand = switchOption(parsed, 'from-command');
  const given: CredentialSource[] = [
    ...(variable === undefined ? [] : [{ kind: 'env', name: variable } as const]),
    ...(file === undefined ? [] : [{ kind: 'file', path: resolve(cwd, file) } as const]),
    ...(isCommand ? [{ kind: 'command', command: parsed.rest } as const] : []),
  ];
  if (given.length > 1) {
    throw new CasemateError('USAGE', 'a value comes from one place; give one of --from-env, --from-file and --from-command');
  }
  if (parsed.rest.length > 0 !== isCommand) {
    throw new CasemateError(
      'USAGE',
      isCommand ? 'no command is given' : 'a command stands after --, but --from-command is not given',
      {
        hint: 'For example: casemate credentials set github --from-command -- gh auth token',
      },
    );
  }
  return given[0];
}

async function readPipe(stdin: NodeJS.ReadStream): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of stdin) {
    const bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(String(piece));
    size += bytes.length;
    if (size > maxValueBytes + 2) {
      throw new CasemateError('CREDENTIAL_UNAVAILABLE', `more than ${maxValueBytes} bytes came; that is no credential`);
    }
    pieces.push(bytes);
  }
  return withoutLastLineFeed(Buffer.concat(pieces).toString('utf8'));
}
