/**
 * Text that drives a terminal where it is shown as it is: clipboard, title, hyperlink, device control, 8-bit controls,
 * rewriting of what stands there, reordering. Behind each mark of it comes an escape, so that what was made of it can be told.
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
