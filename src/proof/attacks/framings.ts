/** Requests whose end two servers could see in two places (RFC 9112 section 11.2). After each comes another one. */
export interface FramingParts {
  /** request line and host line of one that is allowed, with its final line end */
  readonly head: string;
  /** a whole request that is not allowed */
  readonly smuggled: string;
  /** value of a key that is not the caller's to send */
  readonly foreignKey: string;
}

export function doubtfulFramings({ head, smuggled, foreignKey }: FramingParts): Readonly<Record<string, string>> {
  const chunkEnd = `0\r\n\r\n${smuggled}`;
  return {
    'CL+TE': `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${chunkEnd}`,
    'TE+CL': `${head}Transfer-Encoding: chunked\r\nContent-Length: ${chunkEnd.length}\r\n\r\n${chunkEnd}`,
    'CL,CL': `${head}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    'CL list': `${head}Content-Length: 0, ${smuggled.length}\r\n\r\n${smuggled}`,
    'CL +0': `${head}Content-Length: +0\r\n\r\n${smuggled}`,
    'CL hex': `${head}Content-Length: 0x0\r\n\r\n${smuggled}`,
    'CL negative': `${head}Content-Length: -1\r\n\r\n${smuggled}`,
    'TE xchunked': `${head}Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n${smuggled}`,
    'TE list': `${head}Transfer-Encoding: identity, chunked\r\n\r\n${chunkEnd}`,
    'TE gzip': `${head}Transfer-Encoding: gzip, chunked\r\n\r\n${chunkEnd}`,
    'TE twice': `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunkEnd}`,
    'TE vt': `${head}Transfer-Encoding:\x0bchunked\r\n\r\n${chunkEnd}`,
    'TE space': `${head}Transfer-Encoding : chunked\r\n\r\n${chunkEnd}`,
    'bare LF': `${head}X: y\nTransfer-Encoding: chunked\r\n\r\n${chunkEnd}`,
    'obs-fold': `${head}Transfer-Encoding:\r\n chunked\r\n\r\n${chunkEnd}`,
    'chunk-ext LF': `${head}Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nX\r\n${chunkEnd}`,
    'chunk size': `${head}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${smuggled}`,
    overflow: `${head}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n${smuggled}`,
    'CR header': `${head}X: y\rContent-Length: 0\r\n\r\n${smuggled}`,
    'NUL header': `${head}X\0: y\r\nContent-Length: 0\r\n\r\n${smuggled}`,
    version: `${head.replace('HTTP/1.1', 'HTTP/1.9')}Content-Length: 0\r\n\r\n${smuggled}`,
    'HTTP/1.0': `${head.replace('HTTP/1.1', 'HTTP/1.0')}Transfer-Encoding: chunked\r\n\r\n${chunkEnd}`,
    trailer: `${head}Transfer-Encoding: chunked\r\nTrailer: x-api-key\r\n\r\n0\r\nx-api-key: ${foreignKey}\r\n\r\n`,
  };
}

/** Those of them that one reading alone has: the first request may be answered, the second never carried out. */
export const clearAfterAll: ReadonlySet<string> = new Set(['trailer', 'chunk-ext LF']);
