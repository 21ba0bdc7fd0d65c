import { canonicalPath } from '../matching/canonical-path.ts';

/** Reads the git parts of a rule as people write them: a repository, and a branch or another reference. */

export type GitReading = { readonly value: string } | { readonly fault: string };

/** `owner/name`, with or without `.git`; `*` within a part, `**` across parts. */
export function readRepository(text: string): GitReading {
  const bare = text.replace(/^\//, '').replace(/\.git$/i, '');
  const isPath = /^[A-Za-z0-9._~*-]+(?:\/[A-Za-z0-9._~*-]+)*$/.test(bare) && text.length <= 256 && !bare.includes('***');
  return isPath && canonicalPath(`/${bare}`) === `/${bare}`
    ? { value: bare }
    : { fault: 'is not a repository; write its path at the host, such as "owner/name", "owner/*" or "**"' };
}

/** A branch (`agent/*`) or a full name (`refs/tags/v*`); what is kept is the full name. */
export function readRef(text: string): GitReading {
  const full = text.startsWith('refs/') ? text : `refs/heads/${text}`;
  return isRefName(full.replaceAll(/\*{1,2}/g, 'x')) && full.length <= 256
    ? { value: full }
    : { fault: 'is not a branch or reference; write "main", "agent/*" or a full name such as "refs/tags/v*"' };
}

/** A full name as git-check-ref-format(1) has it: anything else is something that two programs could read in two ways. */
export function isRefName(name: string): boolean {
  return (
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    /^refs\/[^\x00-\x20\x7f~^:?*[\\]+$/.test(name) &&
    !/\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[./]$/.test(name) &&
    name.split('/').length >= 3
  );
}
