import { mcpOf, type Content } from '../../policy/judging/decide.ts';
import { refusedUpdates, type RefUpdate } from '../../policy/judging/git-content.ts';
import { refusedCalls } from '../../policy/judging/mcp.ts';
import type { NetworkRule } from '../../policy/policy.ts';
import { refuse, type Refusal } from '../refusal.ts';

/** Refuses a request for what its content asks, and says which part is not allowed. */
export interface KnownContent {
  readonly content: Content;
  /** of a push: what the caller's git understands */
  readonly capabilities?: readonly string[] | undefined;
}

export function contentRefusal(rules: readonly NetworkRule[], { content, capabilities = [] }: KnownContent): Refusal {
  const rule = rules[0]?.id;
  switch (content.kind) {
    case 'git-push': {
      const refused = refusedUpdates(rules, content);
      const updates = content.updates.map(({ ref }) => ({
        ref,
        why: refused.some((one) => one.ref === ref) ? notAllowed : notAlone,
      }));
      return {
        ...refuse('content-not-allowed', pushSentence(content.repository, refused), rule),
        content,
        push: { updates, capabilities },
      };
    }
    case 'lfs-batch': {
      const message = `the rules do not allow to ${content.operation} large files of ${content.repository}${content.ref === undefined ? '' : ` for ${content.ref}`}`;
      return { ...refuse('content-not-allowed', message, rule), content };
    }
    case 'mcp': {
      const calls = refusedCalls(mcpOf(rules), content).map(({ method, tool }) =>
        tool === undefined ? method : `the tool ${tool}`,
      );
      return {
        ...refuse('content-not-allowed', `the rules do not allow ${listed([...new Set(calls)])} of this server`, rule),
        content,
      };
    }
  }
}

const notAllowed = 'not allowed by the policy of this sandbox';
const notAlone = 'not carried out, because of another reference of this push';

/** For the journal: what was asked for, in short. */
export function describeContent(content: Content): string {
  switch (content.kind) {
    case 'git-push': {
      return content.updates.map(({ ref, change }) => `${change} ${ref}`).join(', ');
    }
    case 'lfs-batch': {
      return `large files, ${content.operation}`;
    }
    case 'mcp': {
      return content.calls.map(({ method, tool }) => (tool === undefined ? method : `${method} ${tool}`)).join(', ');
    }
  }
}

const verbs: Readonly<Record<RefUpdate['change'], string>> = { create: 'create', update: 'change', delete: 'delete' };

function pushSentence(repository: string, refused: readonly RefUpdate[]): string {
  const what = refused.map(({ ref, change }) => `${verbs[change]} ${ref.replace(/^refs\/heads\//, '')}`);
  return `the rules do not allow to ${listed(what)} in ${repository}`;
}

function listed(parts: readonly string[]): string {
  const shown = parts.slice(0, 5);
  return parts.length > shown.length ? `${shown.join(', ')} and ${parts.length - shown.length} more` : shown.join(', ');
}
