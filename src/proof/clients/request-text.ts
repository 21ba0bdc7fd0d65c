/** An HTTP/1.1 request as bytes: nothing is added, corrected or left out. */
export interface RequestText {
  readonly host: string;
  /** default `GET` */
  readonly method?: string | undefined;
  /** default `/` */
  readonly target?: string | undefined;
  /** header lines without their ends */
  readonly lines?: readonly string[] | undefined;
  /** latin1; a length is stated for it */
  readonly body?: string | undefined;
  /** false: the connection stays open for more */
  readonly isLast?: boolean | undefined;
}

export function requestText({ host, method = 'GET', target = '/', lines = [], body, isLast = true }: RequestText): string {
  const head = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    ...lines,
    ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`]),
    ...(isLast ? ['Connection: close'] : []),
  ];
  return `${head.join('\r\n')}\r\n\r\n${body ?? ''}`;
}
