import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { CasemateError } from '../base/errors.ts';
import { scanBlock, type BlockScan, type ScanOptions } from './scan-block.ts';

/** Scans blocks in this thread, or in several threads if there is much to do. The answers are the same. */
export interface Scanner {
  readonly scan: (bytes: Buffer) => Promise<BlockScan>;
  /** how many blocks are worth having under way */
  readonly width: number;
  readonly close: () => Promise<void>;
}

export function inlineScanner(options: ScanOptions): Scanner {
  return {
    scan: (bytes) => Promise.resolve(scanBlock(bytes, options)),
    width: 1,
    close: () => Promise.resolve(),
  };
}

export interface ScanTask {
  readonly id: number;
  readonly bytes: Uint8Array;
}

export interface ScanAnswer {
  readonly id: number;
  readonly scan: BlockScan;
}

// Sources end in .ts; in the build the worker is an entry of its own beside the bundle.
const workerFile = import.meta.url.endsWith('.ts') ? './scan-worker.ts' : './scan-worker.js';

export function threadScanner(options: ScanOptions, threads: number = Math.min(4, availableParallelism())): Scanner {
  const waiting = new Map<number, PromiseWithResolvers<BlockScan>>();
  const workerData = { wanted: options.wanted, publicKey: options.publicKey.export({ type: 'spki', format: 'pem' }) };
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL(workerFile, import.meta.url), { workerData, execArgv: [] }),
  );
  for (const worker of workers) {
    worker.on('message', ({ id, scan }: ScanAnswer) => {
      waiting.get(id)?.resolve(scan);
      waiting.delete(id);
    });
    worker.on('error', (error) => {
      const failure = new CasemateError('INTERNAL', 'a thread that verifies the journal failed', { cause: error });
      waiting.forEach((task) => task.reject(failure));
    });
  }
  let next = 0;
  return {
    scan(bytes) {
      const id = next;
      next += 1;
      const task = Promise.withResolvers<BlockScan>();
      waiting.set(id, task);
      const message: ScanTask = { id, bytes };
      workers[id % workers.length]?.postMessage(message, bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : []);
      return task.promise;
    },
    width: threads * 2,
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
