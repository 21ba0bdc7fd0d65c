import { CasemateError, toCasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { CredentialSource } from '../policy/policy.ts';
import { systemClock, type Clock } from '../system/clock.ts';
import { stampOf } from '../system/file-stamp.ts';
import type { Material } from './credential.ts';
import { profileStamp } from './aws/aws-profile.ts';
import { isPhantom } from './phantom.ts';
import { readSource, type Reading } from './sources.ts';
import type { SourceAccess } from './sources/source-access.ts';

/**
 * The current value of one credential for as long as a sandbox runs. A changed file is read again, a session is renewed before
 * it ends, and a command is run again if the upstream refused the value it gave.
 */
export interface LiveValue {
  /** Throws `CREDENTIAL_UNAVAILABLE`. Several callers at once wait for one reading. */
  readonly obtain: () => Promise<Material>;
  /** Reads the source again, in this environment; on failure the value held before stays in use and the error is thrown. */
  readonly refresh: (env?: SourceAccess['env']) => Promise<void>;
  /** Reads this one of its sources and stays with it: a person has just put a value there. */
  readonly switchTo: (source: CredentialSource) => Promise<void>;
  /** Forgets the value: `obtain()` throws from then on. */
  readonly forget: () => void;
  /** The upstream answered 401: sources that may have something newer are read again, at most every half minute. */
  readonly onRejected: (material: Material) => void;
  /** Goes up with every other value, and when it is forgotten. */
  readonly epoch: () => number;
  readonly source: CredentialSource;
  /** kind of the source in use, of several the one that was there; `undefined`: no value is held */
  readonly sourceInUse: () => CredentialSource['kind'] | undefined;
}

export interface LiveValueOptions extends SourceAccess {
  readonly clock?: Clock | undefined;
}

export interface ValuePlace {
  readonly name: string;
  readonly source: CredentialSource;
}

/** Session credentials are renewed this long before they end: longer than an exchange takes to be sent. */
const renewAheadMs = 5 * 60_000;
const rejectedAgainMs = 30_000;
/** Kinds of source that may have another value though nothing says so. */
const newerKinds: ReadonlySet<string> = new Set(['command', 'keychain', 'aws']);

/** Holds nothing until `refresh()` has been called, but for a login, whose keeper is asked at each use. */
export function liveValue(place: ValuePlace, options: LiveValueOptions): LiveValue {
  const clock = options.clock ?? systemClock;
  let held: Reading | undefined;
  let access: SourceAccess = options;
  let askedAgainMs = Number.NEGATIVE_INFINITY;
  let epoch = 0;
  let givenUp = 0;
  let isForgotten = false;

  const { shared, anew } = singleReading(async (source) => {
    const begun = givenUp;
    const found = await readPlace({ ...place, source }, access);
    if (begun !== givenUp) {
      throw notHeld(place);
    }
    epoch += held !== undefined && isSame(held.material, found.material) ? 0 : 1;
    held = found;
    isForgotten = false;
    return found;
  });

  const current = async (): Promise<Reading> => {
    if (held === undefined) {
      // Its keeper is always there to be asked, and knows why there is none: one that had ended may have come again.
      if (place.source.kind === 'login' && !isForgotten) {
        return await shared(place.source);
      }
      throw notHeld(place);
    }
    if (await isOutdated(held, access, clock)) {
      return shared(held.source).catch((error: unknown) => stillGood(held, clock, error));
    }
    return held;
  };

  return {
    obtain: async () => (await current()).material,
    async refresh(env) {
      access = env === undefined ? access : { ...access, env };
      await anew(place.source);
    },
    switchTo: anew,
    forget() {
      givenUp += 1;
      isForgotten = true;
      held = undefined;
      epoch += 1;
    },
    onRejected(material) {
      if (held?.source.kind === 'login') {
        access.loginRejected?.(held.source.agent, material);
      } else if (held !== undefined && newerKinds.has(held.source.kind) && clock.monotonicMs() - askedAgainMs > rejectedAgainMs) {
        askedAgainMs = clock.monotonicMs();
        shared(held.source).catch(() => undefined);
      }
    },
    epoch: () => epoch,
    source: place.source,
    sourceInUse: () => held?.source.kind,
  };
}

interface SingleReading {
  readonly shared: (source: CredentialSource) => Promise<Reading>;
  /** Not by a reading that began before: it may have seen what was there before a change, or another source. */
  readonly anew: (source: CredentialSource) => Promise<void>;
}

/** One reading at a time, for all who ask meanwhile. */
function singleReading(start: (source: CredentialSource) => Promise<Reading>): SingleReading {
  const now: { turn: Promise<Reading> | undefined } = { turn: undefined };
  const begin = (source: CredentialSource): Promise<Reading> => {
    const turn = start(source).finally(() => {
      now.turn = undefined;
    });
    now.turn = turn;
    return turn;
  };
  return {
    shared: (source) => now.turn ?? begin(source),
    async anew(source) {
      while (now.turn !== undefined) {
        // oxlint-disable-next-line no-await-in-loop -- another one may have begun meanwhile
        await now.turn.catch(() => undefined);
      }
      await begin(source);
    },
  };
}

function notHeld({ name }: ValuePlace): CasemateError {
  return new CasemateError('CREDENTIAL_UNAVAILABLE', `the value of credential "${visible(name)}" is not held`, {
    hint: 'Restart the sandbox from a shell where its source can be read.',
  });
}

function isSame(one: Material, other: Material): boolean {
  const textsOf = (material: Material): readonly (string | undefined)[] =>
    material.kind === 'text'
      ? [material.secret.reveal()]
      : [material.accessKeyId, material.secretAccessKey.reveal(), material.sessionToken?.reveal()];
  return textsOf(one).join('\n') === textsOf(other).join('\n');
}

async function isOutdated({ source, stamp, expiresMs }: Reading, access: SourceAccess, clock: Clock): Promise<boolean> {
  // What the store and the login keeper hold changes without notice; asking them costs nothing.
  if (source.kind === 'stored' || source.kind === 'login') {
    return true;
  }
  if (source.kind === 'file' || source.kind === 'secret') {
    return (await (access.stampOf ?? stampOf)(source.path)) !== stamp;
  }
  const isEnding = expiresMs !== undefined && expiresMs - clock.nowMs() < renewAheadMs;
  return isEnding || (source.kind === 'aws' && (await profileStamp(access)) !== stamp);
}

/** A session that still lasts may be used while its renewal fails; anything else may have been taken away on purpose. */
function stillGood(held: Reading | undefined, clock: Clock, error: unknown): Reading {
  if (held?.expiresMs !== undefined && held.expiresMs > clock.nowMs()) {
    return held;
  }
  throw error;
}

async function readPlace({ name, source }: ValuePlace, access: SourceAccess): Promise<Reading> {
  try {
    const found = await readSource(source, access);
    refusePhantom(found.material);
    return found;
  } catch (error) {
    const { code, message, hint } = toCasemateError(error);
    throw new CasemateError(code, `credential "${visible(name)}": ${message}`, { hint });
  }
}

/** A phantom as real value would make a sandbox's stand-in worth something, and mask a mistake until the first call. */
function refusePhantom(value: Material): void {
  if (isPhantom(value.kind === 'text' ? value.secret.reveal() : value.accessKeyId)) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', 'the source gives a phantom of a sandbox, not a key', {
      hint: 'Set the source to the real key, on the host.',
    });
  }
}
