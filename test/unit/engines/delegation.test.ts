/** Limits for an ordinary user: what is asked of systemd and of the runtime, and what their answers mean. */
import { describe, expect, it } from 'vitest';

import { containerGroup, groupLine, inScope, isDelegated, newUnit, parseGroups } from '../../../src/engines/oci/delegation.ts';
import { globalArgs, runtimeCommand } from '../../../src/engines/oci/runtime.ts';
import { ownGroups } from '../../../src/engines/oci/stats.ts';

const id = 'cm-0123456789abcdef';
const slice = '/user.slice/user-1000.slice/user@1000.service/casemate.slice';

describe('the answer of the probe', () => {
  it('says where scopes are made and what can be limited below them', () => {
    expect(parseGroups(`${slice}/casemate-probe-00ff.scope\tcpu memory pids\tswap\n`)).toEqual({
      slice,
      controllers: ['memory', 'cpu', 'pids'],
      swap: true,
    });
  });

  it('names only the controllers that were switched on', () => {
    expect(parseGroups(`${slice}/casemate-probe-00ff.scope\tmemory pids\t-\n`)).toMatchObject({
      controllers: ['memory', 'pids'],
      swap: false,
    });
    expect(parseGroups(`${slice}/casemate-probe-00ff.scope\t\t-\n`)).toMatchObject({ controllers: [] });
  });

  it.each(['', '\n', 'relative\tmemory\tswap', '/only/a/path'])('takes %j for no answer', (text) => {
    expect(parseGroups(text)).toBeUndefined();
  });
});

describe('a scope for a sandbox', () => {
  it('is delegated, has a name that no earlier one has, and becomes the program', () => {
    const unit = newUnit(id);
    expect(unit).toMatch(/^casemate-cm-0123456789abcdef-[0-9a-f]{8}\.scope$/);
    expect(newUnit(id)).not.toBe(unit);
    expect(inScope({ file: 'perl', args: ['stage.pl', 'x'] }, unit)).toEqual({
      file: 'systemd-run',
      args: [
        ...`--user --scope --quiet --collect --slice=casemate --unit=${unit} --property=Delegate=yes`.split(' '),
        ...'-- perl stage.pl x'.split(' '),
      ],
    });
  });

  it('holds the group of the container below it, since a group with processes passes no controllers on', () => {
    const group = containerGroup({ slice, controllers: ['memory'], swap: true }, 'casemate-x.scope');
    expect(group).toBe(`${slice}/casemate-x.scope/box`);
    expect(isDelegated(`0::${group}\n`)).toBe(true);
    expect(groupLine(['memory', 'pids'])).toBe('group\tmemory\tpids');
  });

  it.each([
    undefined,
    '',
    '0::/\n',
    '0::/user.slice/user-1000.slice/session-2.scope\n',
    `4:memory:/casemate/${id}\n0::/\n`,
    '0::/a/casemate-x.scope/start\n',
  ])('is not taken to be around a process of %j', (text) => {
    expect(isDelegated(text)).toBe(false);
  });
});

describe('the runtime of an ordinary user with limits', () => {
  const runtime = { name: 'runc', root: '/r', env: {}, beside: 7 } as const;

  it('must not go on when the group cannot be made or entered', () => {
    expect(globalArgs({ ...runtime, limitsMust: true })).toEqual(['--root', '/r', '--rootless', 'false']);
    expect(globalArgs(runtime)).toEqual(['--root', '/r']);
  });

  it('is started in a scope of the user where a command must get into the sandbox’s group', () => {
    const { file, args } = runtimeCommand({ ...runtime, limitsMust: true }, ['--log', 'l', 'exec', id]);
    expect([file, ...args.slice(0, 7)].join(' ')).toBe('systemd-run --user --scope --quiet --collect --slice=casemate -- perl');
    expect(args.slice(-3)).toEqual(['l', 'exec', id]);
  });

  it('is started directly where it makes no process inside, and where there are no limits', () => {
    expect(runtimeCommand({ ...runtime, limitsMust: true }, ['state', id]).file).toBe('perl');
    expect(runtimeCommand(runtime, ['exec', id]).file).toBe('perl');
  });
});

describe('the groups that a sandbox is counted in', () => {
  it('are those made for it, in both layouts', () => {
    const separate = `8:pids:/casemate/${id}\n4:memory:/casemate/${id}\n2:cpu,cpuacct:/casemate/${id}\n1:name=systemd:/\n0::/\n`;
    expect([...ownGroups(id, separate).keys()]).toEqual(['pids', 'memory', 'cpu', 'cpuacct']);
    expect([...ownGroups(id, `0::${slice}/casemate-${id}-00112233.scope/box\n`)]).toEqual([
      ['', `${slice}/casemate-${id}-00112233.scope/box`],
    ]);
  });

  it('are found below the group of all sandboxes, and no deeper', () => {
    expect([...ownGroups(id, `4:memory:/casemate/own-0123/${id}\n`).keys()]).toEqual(['memory']);
    expect(ownGroups(id, `4:memory:/casemate/own-0123/x/${id}\n`).size).toBe(0);
    expect(ownGroups(id, `4:memory:/other/own-0123/${id}\n`).size).toBe(0);
    expect(ownGroups(id, `4:memory:/casemate/own-0123/${id}/inner\n`).size).toBe(0);
  });

  it('are never those of whoever started it, nor another sandbox’s', () => {
    expect(ownGroups(id, '4:memory:/user.slice\n0::/user.slice/user-1000.slice/session-2.scope\n').size).toBe(0);
    expect(ownGroups(id, `4:memory:/casemate/cm-ffff\n0::${slice}/casemate-cm-ffff-00112233.scope/box\n`).size).toBe(0);
  });
});
