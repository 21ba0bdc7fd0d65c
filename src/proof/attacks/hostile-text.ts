/**
 * Text that controls a terminal if it is shown unchanged: clipboard, title, hyperlink, device control, 8-bit controls,
 * overwriting, reordering. Each marker in it is followed by an escape, so that its treatment can be seen.
 */
export function hostileText(mark: string): string {
  return [
    `${mark}\u001B]52;c;eA==\u0007`,
    '\u001B]0;t\u0007\u001B]8;;http:x\u0007',
    '\u001B[2J\u001B[1A\u001B[8m',
    '\u001BP$q"p\u001B\\',
    '\u009B31m\u009D0;t\u009C',
    '\r\b\u007F',
    '\u202E\u2066\u200B\u2028\uFEFF\u206C\u00AD\u{E0041}',
  ].join('');
}

/** The same in one byte for each 8-bit control, as programs without UTF-8 write them. */
export function hostileBytes(mark: string): Buffer {
  return Buffer.from(`${mark}\u001B[2J\u009B31m\u009D0;t\u009C\u0090$q"p\u009C\u0085`, 'latin1');
}
