import { createPublicKey } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

import { scanBlock } from './scan-block.ts';
import type { ScanAnswer, ScanTask } from './scanner.ts';

/** One thread of `threadScanner`. */

const { publicKey, wanted }: { publicKey: string; wanted: number } = workerData;
const options = { publicKey: createPublicKey(publicKey), wanted };

parentPort?.on('message', ({ id, bytes }: ScanTask) => {
  const answer: ScanAnswer = { id, scan: scanBlock(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), options) };
  parentPort?.postMessage(answer);
});
