import { readFile, readlink } from 'node:fs/promises';

import { isCasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { identityIn, isEndingIn, type ProcessIdentity } from '../../../system/process-identity.ts';
import { socketLimit } from '../../oci/cgroups.ts';
import { untilNoneIsLeft } from '../../processes.ts';
import { hexAddress, hexPort } from '../../sending-process.ts';
import { groupsFolder } from '../container-bodies.ts';
import type { EngineKernel } from './engine-kernel.ts';
import type { Observer } from './kernel-place.ts';

/** The engine's kernel as the observer reports it. */
export function observedKernel(observer: Observer): EngineKernel {
  const text = async (...question: readonly (string | number)[]): Promise<string> =>
    (await observer.ask(...question)).toString('utf8');
  const identify = async (pid: number): Promise<ProcessIdentity | undefined> => {
    const [stat, { boot }] = await Promise.all([text('read', pid, 'stat'), observer.hello()]);
    return identityIn(pid, stat === '' ? undefined : stat, boot);
  };
  const words = ({ pid, startTicks }: ProcessIdentity): readonly [number, string] => [pid, startTicks];
  return {
    async isHere() {
      const [{ boot, space }, ownBoot, ownSpace] = await Promise.all([
        observer.hello(),
        readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
        readlink('/proc/self/ns/pid').catch(() => ''),
      ]);
      return boot === ownBoot.trim() && space === ownSpace;
    },
    identify,
    async isSame(identity) {
      const present = await identify(identity.pid);
      return present?.startTicks === identity.startTicks && present.boot === identity.boot;
    },
    isEnding: async (pid) => isEndingIn((await text('threads', pid)).split('\n').filter((row) => row !== '')),
    read: async (pid, file) => text('read', pid, file),
    async namespaces(pid) {
      const rows = (await text('namespaces', pid)).split('\n').map((row) => row.split(' '));
      return Object.fromEntries(rows.flatMap(([name = '', link]) => (link === undefined ? [] : [[name, link]])));
    },
    async processesInside(init) {
      const pids = (await text('inside', ...words(init))).split(' ').filter((pid) => pid !== '');
      return pids.map(Number).toSorted((a, b) => Number(b === init.pid) - Number(a === init.pid) || a - b);
    },
    endSession: async (init, leader) =>
      untilNoneIsLeft(async () => /^\d+$/.test(leader) && (await text('end', ...words(init), leader)) !== '0'),
    async signal(init, pid, signal) {
      // A second one may mean another thing to the command than the first.
      await observer.askOnce('signal', ...words(init), pid, signal);
    },
    async sender(init, { localPort, remoteAddress, remotePort }) {
      const remote = `${hexAddress(remoteAddress)}:${hexPort(remotePort)}`;
      const [pid = '', ...rest] = (await text('sender', ...words(init), hexPort(localPort), remote)).split('\t');
      const command = visible(rest.join('\t').replaceAll('\0', ' ').trim()).slice(0, 300);
      return pid === '' ? undefined : { pid: Number(pid), command };
    },
    async stage(plan) {
      try {
        await observer.ask('stage', plan);
        return '';
      } catch (error) {
        return isCasemateError(error) ? error.message : String(error);
      }
    },
    async limitSockets(group, memoryBytes) {
      const { path, text: bound } = socketLimit(group, memoryBytes, groupsFolder);
      await observer.ask('group', path, bound);
    },
    shown: async (init, path) => observer.ask('shown', ...words(init), path),
    close: () => observer.close(),
  };
}
