import type { Tool } from './tool.ts';
import { createSession } from './tools/create-session.ts';
import { destroySession } from './tools/destroy-session.ts';
import { executeCommand } from './tools/execute-command.ts';
import { executeInSession } from './tools/execute-in-session.ts';
import { getSessionLogs } from './tools/get-session-logs.ts';
import { listSessions } from './tools/list-sessions.ts';
import { transferFiles } from './tools/transfer-files.ts';

/** Every tool that callers have, in the order in which they are listed. */
export const tools: readonly Tool[] = [
  createSession,
  executeInSession,
  executeCommand,
  transferFiles,
  getSessionLogs,
  listSessions,
  destroySession,
];
