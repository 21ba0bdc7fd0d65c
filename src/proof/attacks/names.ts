/** Names that are not allowed but look to a careless reader as if they were. */
export interface NameParts {
  /** an exact name of the policy */
  readonly allowed: string;
  /** names below it are allowed, itself it is not */
  readonly wild: string;
  readonly denied: string;
  /** marks this attempt */
  readonly mark: string;
}

export function lookalikes({ allowed, wild, denied, mark }: NameParts): readonly string[] {
  return [
    `${mark}${allowed}`,
    `${mark}.${allowed}`,
    `${mark}-${allowed}`,
    `${allowed}.${mark}.${denied}`,
    `${mark}${wild}`,
    `${mark}-${wild}`,
    `${wild}.${mark}.${denied}`,
    `${mark}.${wild.replaceAll('.', '-')}.${denied}`,
  ];
}

/** Labels that no host name holds (RFC 1123): what a reader cuts, splits or undoes makes another name of each. */
export function oddNames({ wild, denied, mark }: Omit<NameParts, 'allowed'>): readonly string[] {
  const signs = [
    '\0',
    '%00',
    '\t',
    '\r\n',
    '\n',
    ' ',
    '\\',
    '\\.',
    '#',
    '?',
    '@',
    '/',
    ':',
    ',',
    ';',
    '*',
    '%2e',
    '\u3002',
    '\u00ad',
    '\uff0e',
  ];
  return [
    ...signs.map((sign) => `${mark}.${denied}${sign}.${wild}`),
    ...signs.map((sign) => `${mark}${sign}${denied}.${wild}`),
    // Punycode that stands for nothing, and for a name that needs none.
    `xn--0.${mark}.${wild}`,
    `xn--${mark}-.${wild}`,
    `-${mark}.${wild}`,
    `${mark}-.${wild}`,
    `${mark}${'a'.repeat(64)}.${wild}`,
  ];
}

/** Types of records that carry a name, or a text, out of a place that resolves them. */
export const recordTypes = [
  'A',
  'AAAA',
  'TXT',
  'MX',
  'SRV',
  'CNAME',
  'NS',
  'PTR',
  'SOA',
  'HTTPS',
  'CAA',
  'NULL',
  'NAPTR',
  'ANY',
] as const;
