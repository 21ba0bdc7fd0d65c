/** The version of this program; `package.json` must agree, which a test checks. */
export const version = '0.1.0';
