import { tools } from '../src/mcp/tools.ts';
import type { Tool } from '../src/mcp/tool.ts';
import { resolveShare } from '../src/policy/layers/resolve-share.ts';
import type { JsonSchema } from '../src/policy/written/json-schema.ts';
import { table } from './markdown.ts';

const { eachCaller, callers } = resolveShare({});

/** The page about MCP: what a caller is and may, and every tool with its arguments and results, read from the schemas. */
export function mcpPage(): string {
  return [opening, ...tools.map(toolSection)].join('\n\n');
}

const opening = `Casemate is an MCP server: an agent, a CI job or a program can create and use sandboxes over the Model Context Protocol. The client starts the server itself and talks to it over standard input and output:

\`\`\`sh
claude mcp add casemate -- casemate mcp --root ~/projects
\`\`\`

\`\`\`json
{ "mcpServers": { "casemate": { "command": "casemate", "args": ["mcp", "--root", "/home/me/projects"] } } }
\`\`\`

Below, a **caller** is whoever uses the server, and a **session** is a sandbox that a caller has created.

## What a caller may

A caller is assumed to be a model that can be talked into anything. The daemon checks each of its calls, so nothing depends on the server process between them.

- **Only its own sessions.** Sandboxes of people and of other callers are invisible to it: their ids and names get the same answer as ones that do not exist. \`--caller NAME\` says whose sessions they are (default \`mcp\`). The same name finds them again from another process, and after a restart of the daemon or the machine.
- **Only its roots.** A project must be inside a folder named with \`--root\`. Symbolic links are resolved first, and what is finally mounted is checked again. The limits on workspaces that apply to people apply, too.
- **Less, never more.** A caller can tighten limits and times below the policy; the result is read back from the kernel. What the policy allows, waives or trusts, and which image and runtime are used, is decided by the person at the host. A project file that asks for more must be approved there (\`casemate policy trust\`).
- **Keys go in, never out.** A key given as an argument is sealed on the host for that one session, and the gateway puts it on the wire. It appears in no log, record, process argument or process environment, and not in the sandbox; it is deleted with the session. If the organisation defines a credential, another key cannot replace it. It is better to keep keys out of the caller's context and on the host (\`casemate credentials set\`, \`casemate login\`).
- **At most ${eachCaller} sessions** for each caller, ${callers} for all callers together, and no more than the host allows for all sandboxes ([\`share\`](policy.md)). At that limit \`create_session\` says how many are waiting and when to retry, or waits in line for \`queueMs\`. Unless the policy says otherwise, a session ends an hour after it was created, and is stopped after 15 minutes without a command; a stopped session resumes with the next command.
- **On record.** Every effect is in the journal under \`caller:NAME\`. So is everything refused because only the person at the host may do it (\`caller.refused\`).

A refusal is a tool result with \`isError\`, a text \`CODE: what and why\`, and the same in \`_meta["casemate/error"]\` ([codes](errors.md)). Arguments that do not match the schema, including unknown ones, are a protocol error (\`-32602\`) that names the argument. Texts are safe to print on a terminal; \`structuredContent\` holds output unchanged.

If the client cancels a call, its command ends. If the client disconnects, its commands end and its sessions stay. If the client asks for progress, it gets the latest line of output, at most once a second.

## A layout of the project

\`layout\` of \`create_session\` (or \`workspace.layout\` in a policy) creates missing folders in the project, owned by the project's owner: \`imports\`, which the sandbox can read but not write, rename or replace; \`exports\`, which \`transfer_files\` takes out when no \`sourcePath\` is given; \`shared\`, \`Projects\`, \`Documentation\` and \`Research\`. What you put into \`imports\` on the host is visible inside at once.

## Over HTTP

\`casemate mcp serve\` speaks Streamable HTTP at \`http://127.0.0.1:7391/mcp\`, for callers with a token:

\`\`\`sh
casemate caller add ci --root ~/projects --expires 30d     # prints the token, once
claude mcp add --transport http casemate http://127.0.0.1:7391/mcp --header "Authorization: Bearer cmt_..."
\`\`\`

- **Roles.** \`viewer\` can look at its own sessions and plans, \`operator\` can create and use its own, \`admin\` can do so with the sessions of all callers. No role reaches the sandboxes of people.
- **Each request** is checked anew by the daemon. When a token is revoked (\`casemate caller revoke\`) or expires, its connections, streams, calls and commands end at once, and the sandboxes it used are stopped. Their contents are kept for another token with the same name. Only a hash of each token is stored.
- **Loopback only**, unless you say otherwise: \`--listen ADDRESS\` beyond loopback needs \`--tls-cert\`, \`--tls-key\` and the names under which clients reach it (\`--host\`). It does not serve web pages: another \`Host\` and any \`Origin\` are refused. A connection belongs to the token that opened it.
- **From inside a sandbox**, an agent reaches the server like any other host, under a name of your choice, and holds a stand-in of its token. Start \`casemate mcp serve --host casemate.example.com\`, store the token with \`casemate credentials set orchestrator --provider bearer --host casemate.example.com\`, and write in your policy:

  \`\`\`yaml
  credentials: { orchestrator: { provider: bearer, source: { stored: orchestrator } } }
  network: [{ host: casemate.example.com, credential: orchestrator, upstream: "http://127.0.0.1:7391" }]
  \`\`\`

  In \`mcpConfig\` the server is named with \`{ "type": "http", "url": "https://casemate.example.com/mcp", "headers": { "Authorization": { "credential": "orchestrator", "prefix": "Bearer " } } }\`.

- **A separate policy** for a caller, in place of yours: \`--policy FILE\` of \`casemate caller add\` and \`casemate mcp\`. The file must not be inside any of the caller's roots. The organisation's policy limits it as always.
- **Left-overs** of callers that are gone: \`casemate reap --dry-run\` lists them, \`casemate reap\` removes them.
- **Limits.** For each caller: 16 connections, 64 open requests, and 64 calls in progress, and 64 commands in the background (20 in each connection) (the last also over standard input and output). Messages that are being read or answered hold 32 MiB of one caller and 128 MiB of all, not counting the first 64 KiB of each; beyond that the answer is 429 or 503, with \`Retry-After\`. Messages have at most 8 MiB, 10,000 parts (values and members) and 64 levels, ids and progress tokens at most 256 characters. A long answer (a large \`maxOutputBytes\`, a large result of \`wait_for_execution\`) counts as several calls. Each tool, and lists and resources, have a call allowance that refills over time (\`RATE_LIMITED\` says when); for \`create_session\` it is ten at once, then one every six seconds.
- The process that serves HTTP holds no credential: it has no more rights than a command line of yours.

## Servers inside

\`mcpConfig\` gives the agent MCP servers that run inside the sandbox. It works with Claude Code, Codex, and agents whose description says how. \`mcpMounts\` copies the servers' folders into the sandbox:

\`\`\`json
{
  "mcpMounts": [{ "hostPath": "/home/me/projects/tracker-mcp", "containerPath": "/home/agent/servers/tracker" }],
  "mcpConfig": {
    "mcpServers": {
      "tracker": {
        "command": "node",
        "args": ["/home/agent/servers/tracker/index.js"],
        "env": { "TRACKER_TOKEN": { "credential": "tracker" } },
        "network_isolation": ["tracker.example.com"]
      }
    }
  }
}
\`\`\`

Never write a key there. \`{ "credential": NAME }\` becomes the stand-in of a credential that the policy defines, for this sandbox only; the gateway puts the real key on the wire, at the hosts to which the policy binds it.

\`network_isolation\` lists the hosts that one server may reach: exact names or \`*.example.com\`; \`true\` means the empty list. Such a server runs in a **sandbox of its own** beside the session. It has the same image, project folder and copies of \`mcpMounts\`, but its own home folder, network namespace and gateway, whose rules are those of the policy for the listed hosts and nothing else. It gets stand-ins only for the credentials that its \`env\` names, and never the agent's key.

- A list can only narrow. \`create_session\` refuses a host that the policy does not allow, and a host where the policy puts a credential on the wire that the server is not given. Nobody is asked for more while it runs, and what a person allows the session opens nothing here.
- In its configuration the agent finds a short command that connects to a local name at the gateway, \`mcp-1.casemate.internal\`. The daemon connects that to the server, which it starts like any command, once for each connection and at most eight times. \`get_events\` reports all of it, with \`server\` in the details; what the server prints on standard error is in \`get_session_logs\`.
- This sandbox is started, stopped and removed with the session and by nobody else (\`casemate ls\` shows it as \`for NAME\`). It counts as one of the caller's sandboxes and uses up the session's budgets. All such servers together have half of the session's memory, processors, processes and disk.
- For a remote server (\`type\`, \`url\`) the list can only be the host of its URL, which the policy must allow; where that server sends data is not visible here.
- \`{ "preset": "context7" }\` and \`{ "preset": "serena" }\` are servers of a fixed version, with or without \`network_isolation\`. Context7 is fetched by npx from the npm registry, if the policy allows it; a list for it must include that registry's host. Serena has an image of its own (\`casemate image build serena\`) and therefore always its own sandbox; without a list it has no network.
- Without \`network_isolation\`, a server runs beside the agent and can reach what the session can. \`false\` says so explicitly, and is refused at the levels \`service\` and \`maximum\`.

## Coming from another server

Other MCP servers keep such sessions in Docker containers. Their tools and arguments have the same names here, so only the command in the client's configuration changes. \`ANTHROPIC_API_KEY\`, \`CLAUDE_CODE_USE_BEDROCK\`, \`AWS_REGION\`, \`ANTHROPIC_MODEL\` and \`ANTHROPIC_SMALL_FAST_MODEL\` in the server's environment keep their meaning.`;

function toolSection({ name, about, inputSchema, outputSchema }: Tool): string {
  const parts = [`## ${name}`, about];
  const inputs = rowsOf(inputSchema);
  if (inputs.length > 0) {
    parts.push(table(['argument', 'form', 'meaning'], inputs));
  }
  parts.push(table(['result', 'form', 'meaning'], rowsOf(outputSchema)));
  return parts.join('\n\n');
}

function rowsOf(schema: JsonSchema, prefix = ''): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const path = `${prefix}${name}`;
    const must = schema.required?.includes(name) === true && property.default === undefined;
    const inner = property.properties === undefined ? (property.items ?? {}) : property;
    const mark = property.properties === undefined ? '[].' : '.';
    return [
      [`\`${path}\``, `${formOf(property)}${must ? '' : ', optional'}`, meaningOf(property)],
      ...rowsOf(inner, `${path}${mark}`),
    ];
  });
}

function formOf({ type, items, anyOf, enum: values, const: value }: JsonSchema): string {
  if (values !== undefined) {
    return values.map((one) => `\`${String(one)}\``).join(', ');
  }
  if (value !== undefined) {
    return `\`${JSON.stringify(value)}\``;
  }
  if (anyOf !== undefined) {
    return anyOf.map(formOf).join(' or ');
  }
  return type === 'array' ? `list of ${items === undefined ? 'anything' : formOf(items)}` : String(type ?? 'anything');
}

function meaningOf({ description = '', default: fallback, minimum, maximum }: JsonSchema): string {
  const far = Number.MAX_SAFE_INTEGER;
  const range =
    minimum !== undefined && maximum !== undefined && minimum > -far && maximum < far ? `${minimum} to ${maximum}` : undefined;
  const known = fallback === undefined || description.includes('default') ? undefined : `default \`${JSON.stringify(fallback)}\``;
  return [description, range, known].filter((part) => part !== undefined && part !== '').join('; ') || '–';
}
