import { describe, expect, it } from 'vitest';

import { newSandboxId, parseSandboxName } from '../../../src/base/ids.ts';
import { openStore, type Store } from '../../../src/sandbox/stored/store.ts';

function insert(store: Store, name: string) {
  const id = newSandboxId();
  store.insert({
    id,
    name: parseSandboxName(name),
    state: 'created',
    ephemeral: false,
    plan: '{}',
    planHash: 'h',
    createdMs: 1,
    reason: 'asked',
    client: undefined,
  });
  return id;
}

describe('the state file', () => {
  it('knows a sandbox by name and by id until it is gone, and by name afterwards', () => {
    const store = openStore(':memory:');
    const id = insert(store, 'work');
    expect(store.find('work')?.id).toBe(id);
    expect(store.find(id)?.name).toBe('work');
    store.move(id, { state: 'gone', reason: 'asked' });
    expect(store.find('work')).toBeUndefined();
    expect(store.findGone('work')?.id).toBe(id);
    expect(store.list()).toEqual([]);
  });

  it('refuses a name that is in use and gives it again once free', () => {
    const store = openStore(':memory:');
    const id = insert(store, 'work');
    expect(() => insert(store, 'work')).toThrow('a sandbox named "work" exists');
    store.move(id, { state: 'gone', reason: 'asked' });
    expect(() => insert(store, 'work')).not.toThrow();
  });

  it('keeps what a running command needs until its end is recorded', () => {
    const store = openStore(':memory:');
    const sandbox = insert(store, 'work');
    const invocation = { file: 'runc', args: ['exec'], env: {}, pidFile: '/p', errorLog: '/l' };
    const execution = {
      id: 'ex-1',
      sandbox,
      invocation,
      client: { pid: 7, startTicks: '9' },
      actor: 'user:0',
      subject: 'sh',
      startedMs: 5,
    };
    store.beginExecution(execution);
    expect(store.openExecutions()).toEqual([execution]);
    store.endExecution('ex-1');
    expect(store.openExecutions()).toEqual([]);
  });

  it('keeps owner, key and approvals', () => {
    const store = openStore(':memory:');
    expect(store.ownerId).toMatch(/^own-[0-9a-f]{16}$/);
    expect(store.installationKey).toHaveLength(32);
    store.trust('abc', 1);
    expect([store.isTrusted('abc'), store.isTrusted('abd')]).toEqual([true, false]);
  });

  it('says what SQLite says in one clear line', () => {
    const failed = expect.objectContaining({ code: 'STORE_FAILED', message: expect.stringContaining('state file') });
    expect(() => openStore('/nonexistent/state.sqlite')).toThrow(failed);
    const store = openStore(':memory:');
    store.close();
    expect(() => insert(store, 'work')).toThrow(failed);
    expect(() => store.list()).toThrow(failed);
    expect(() => store.move(newSandboxId(), { state: 'gone', reason: 'asked' })).toThrow(failed);
  });
});
