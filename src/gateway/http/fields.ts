/** HTTP header fields as an ordered list with names in lower case. Nothing is merged, lost or reordered. */
export type Field = readonly [name: string, value: string];

/** From Node's `rawHeaders`: name, value, name, value... Pseudo-headers of HTTP/2 are left out. */
export function fieldsOf(raw: readonly string[]): readonly Field[] {
  const fields: Field[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]?.toLowerCase() ?? '';
    if (!name.startsWith(':')) {
      fields.push([name, raw[index + 1] ?? '']);
    }
  }
  return fields;
}

/**
 * The form in which names are compared: what stands behind CGI, WSGI, Rack or PHP cannot tell `a_b` from `a-b`, and some
 * take every other sign for the same (lighttpd), or the point (PHP's own server).
 */
export function foldedField(name: string): string {
  const lowered = name.toLowerCase();
  return /[^a-z0-9-]/.test(lowered) ? lowered.replaceAll(/[^a-z0-9-]/g, '-') : lowered;
}

export function valuesOf(fields: readonly Field[], name: string): readonly string[] {
  let values: string[] | undefined;
  for (const field of fields) {
    if (field[0] === name) {
      values ??= [];
      values.push(field[1]);
    }
  }
  return values ?? none;
}

/** Asked for many names, of which few are there. */
const none: readonly string[] = [];

/** The parts of a list header such as `Connection`, in lower case. */
export function tokensOf(fields: readonly Field[], name: string): readonly string[] {
  const values = valuesOf(fields, name);
  if (values.length === 0) {
    return values;
  }
  return values
    .flatMap((value) => value.split(','))
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== '');
}

/** Belong to one connection (RFC 9110 section 7.6.1), or to framing, which each side of the gateway does anew. */
const perConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Statements about who asks and from where: the gateway knows that better than the caller. */
const aboutTheCaller = new Set([
  'expect',
  'host',
  'forwarded',
  'via',
  'x-real-ip',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-forwarded-server',
]);

/**
 * A field that is there and that `Connection` has for its own, though it is none of those. It would be judged and not go on: a
 * type of content for example, without which a server takes a POST for a form. Usual clients name no such one.
 */
export function strayOfConnection(fields: readonly Field[]): string | undefined {
  const named = tokensOf(fields, 'connection').filter((name) => !perConnection.has(name));
  const there = new Set(named.length === 0 ? [] : fields.map(([name]) => name));
  return named.find((name) => there.has(name));
}

/** Whether `Connection` says that a field belongs to it; mostly it names none, or one. */
function namedByConnection(fields: readonly Field[]): (name: string) => boolean {
  const named = tokensOf(fields, 'connection');
  if (named.length === 0) {
    return isNone;
  }
  const set = new Set(named);
  return (name) => set.has(name);
}

const isNone = (): boolean => false;
const noNames: ReadonlySet<string> = new Set();

/** `Content_Encoding`: it says nothing of the content to whoever judges it here, and may to what stands behind CGI or WSGI. */
function isSecondReading(name: string, folded: string): boolean {
  return folded !== name && folded.startsWith('content-');
}

/** What of a request goes on to the upstream; the host is set anew by whoever writes the request. `isLeftOut`: of more of it. */
export function forwardedRequestFields(
  fields: readonly Field[],
  isLeftOut: (name: string) => boolean = isNone,
): readonly Field[] {
  const isNamed = namedByConnection(fields);
  const kept: Field[] = [];
  for (const field of fields) {
    const [name] = field;
    const folded = foldedField(name);
    const isKept = !perConnection.has(folded) && !aboutTheCaller.has(folded) && !isNamed(name) && !isLeftOut(name);
    if (isKept && !isSecondReading(name, folded)) {
      kept.push(field);
    }
  }
  // HTTP/2 splits cookies into several fields; HTTP/1.1 wants one (RFC 9113 section 8.2.3).
  const cookies = valuesOf(kept, 'cookie');
  return cookies.length < 2 ? kept : [...kept.filter(([name]) => name !== 'cookie'), ['cookie', cookies.join('; ')]];
}

/**
 * What of a response goes back. `alt-svc` is left out: it would send the client to ways that do not exist here. Nor may
 * an upstream speak in the name of the gateway.
 */
export function forwardedResponseFields(fields: readonly Field[], leftOut: ReadonlySet<string> = noNames): readonly Field[] {
  const isNamed = namedByConnection(fields);
  return fields.filter(
    ([name]) =>
      !perConnection.has(name) && !isNamed(name) && !leftOut.has(name) && name !== 'alt-svc' && !name.startsWith('x-casemate-'),
  );
}

/** As Node's `writeHead` and `request` take them. */
export function flat(fields: readonly Field[]): string[] {
  const texts: string[] = [];
  for (const [name, value] of fields) {
    texts.push(name, value);
  }
  return texts;
}

/** As Node's `addTrailers` takes them. */
export function pairs(fields: readonly Field[]): [string, string][] {
  return fields.map(([name, value]) => [name, value]);
}
