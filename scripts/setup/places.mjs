/** Where things of the checkout are, and the Node that its programs run on. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Failure } from './failure.mjs';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const nodeModules = join(root, 'node_modules');
export const bundle = join(root, 'dist', 'casemate.js');

/** npm package that carries Node for this machine; its version is pinned by the lock file. */
export const nodePackage = `node-linux-${process.arch}`;

/** Node 24 from the lock file; the running Node where there is no such package and it is new enough. */
export function nodeProgram(modules = nodeModules) {
  const own = join(modules, nodePackage, 'bin', 'node');
  if (existsSync(own)) {
    return own;
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) {
    return process.execPath;
  }
  throw new Failure(`Node ${process.versions.node} is too old and the package ${nodePackage} was not installed`, {
    hint: 'Install Node 22.19 or newer, or let npm install optional dependencies.',
  });
}

/** The caller's environment with the programs of the checkout first, and the folders of system programs last. */
export function childEnvironment(extra = {}, modules = nodeModules) {
  const path = [join(modules, '.bin'), process.env.PATH ?? '', '/usr/local/sbin:/usr/sbin:/sbin'].filter(Boolean).join(':');
  return { ...process.env, PATH: path, ...extra };
}
