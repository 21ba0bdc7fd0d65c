import type { Tool } from './tool.ts';
import { explainAccess, listDeniedRequests, requestApproval } from './tools/access-tools.ts';
import { interruptExecution, startCommand, startTask, waitForExecution } from './tools/background-tools.ts';
import { createSession } from './tools/create-session.ts';
import { destroySession } from './tools/destroy-session.ts';
import { executeCommand } from './tools/execute-command.ts';
import { executeInSession } from './tools/execute-in-session.ts';
import { getEvents } from './tools/get-events.ts';
import { getSessionLogs } from './tools/get-session-logs.ts';
import { listSessions } from './tools/list-sessions.ts';
import { planSession } from './tools/plan-session.ts';
import { listSnapshots, removeSnapshot, restoreSession, snapshotSession } from './tools/snapshot-tools.ts';
import { transferFiles } from './tools/transfer-files.ts';

/** Every tool that callers have, in the order in which they are listed. */
export const tools: readonly Tool[] = [
  planSession,
  createSession,
  executeInSession,
  executeCommand,
  startTask,
  startCommand,
  waitForExecution,
  interruptExecution,
  transferFiles,
  getSessionLogs,
  getEvents,
  explainAccess,
  listDeniedRequests,
  requestApproval,
  snapshotSession,
  listSnapshots,
  restoreSession,
  removeSnapshot,
  listSessions,
  destroySession,
];
