import { tools } from '../src/mcp/tools.ts';
import type { Tool } from '../src/mcp/tool.ts';
import { resolveShare } from '../src/policy/layers/resolve-share.ts';
import { table } from './markdown.ts';

const { eachCaller, callers } = resolveShare({});

/** The page about MCP: what a caller is and may, and every tool with its arguments and results, read from the schemas. */
export function mcpPage(): string {
  return [opening, ...tools.map(toolSection)].join('\n\n');
}

const opening = `An agent, a CI job or a program drives sandboxes over the Model Context Protocol. The client starts the server itself and speaks with it over standard input and output:

\`\`\`sh
claude mcp add casemate -- casemate mcp --root ~/projects
\`\`\`

\`\`\`json
{ "mcpServers": { "casemate": { "command": "casemate", "args": ["mcp", "--root", "/home/me/projects"] } } }
\`\`\`

## What a caller may

The caller is taken to be a model that was talked into anything. The daemon judges each of its calls, so nothing depends on what the server between them lets through.

- **Its own sessions alone.** What people and other callers have is not there for it; an id or name of theirs is answered like one that does not exist. \`--caller NAME\` says whose sessions they are (default \`mcp\`): the same name finds them again, in another process, after a restart of the daemon or of the machine.
- **Its roots alone.** A project must lie below a folder that \`--root\` named, links resolved, judged again on what is mounted. Beside that hold the bounds on workspaces that hold for people.
- **Less, never more.** Limits and times can be tightened against the policy and are read back from the kernel. What the policy allows, waives, trusts, and which image and runtime there is, says the person at the host; a project file that asks for more has to be approved there (\`casemate policy trust\`).
- **Keys go in, never out.** A key in an argument is sealed on the host for that one session and put on the wire by the gateway. It is in no log, no record, no argument or environment of a process and not in the sandbox, and goes with the session. An organisation that defines a credential itself does not let another key take its place. Better: keep keys out of the caller's context and let the host have them (\`casemate credentials set\`, \`casemate login\`).
- **${eachCaller} sessions** for each caller, ${callers} for all together, and no more than all sandboxes of the host may ([\`share\`](policy.md)). Where there are so many, \`create_session\` says who waits already and when to come again, or waits in the line for \`queueMs\`. A session ends an hour after it was made and is stopped after 15 minutes without a command, where the policy says nothing else; one that was stopped goes on with the next command.
- **On record.** Every effect is in the journal under \`caller:NAME\`, and so is what was refused because it is the person's to do (\`caller.refused\`).

What is refused is a tool result with \`isError\`, a text \`CODE: what and why\`, and the same in \`_meta["casemate/error"]\` ([codes](errors.md)). Arguments that are not as the schema says, unknown ones among them, are a fault of the protocol (\`-32602\`) that names the argument. Texts are safe to show on a terminal; \`structuredContent\` holds output as it was.

A call that the client cancels ends its command; a client that goes ends its commands and leaves its sessions. Where the client asks for progress it gets the last line of output, once a second at most.

## A layout of the project

\`layout\` of \`create_session\` (or \`workspace.layout\` in a policy) makes folders in the project, for its owner, where they are missing: \`imports\`, which the sandbox reads and cannot write, rename or replace; \`exports\`, which \`transfer_files\` takes out where no \`sourcePath\` is said; \`shared\`, \`Projects\`, \`Documentation\`, \`Research\`. What is put into \`imports\` on the host is there at once.

## Over HTTP

\`casemate mcp serve\` speaks Streamable HTTP at \`http://127.0.0.1:7391/mcp\`, for callers that come with a token:

\`\`\`sh
casemate caller add ci --root ~/projects --expires 30d     # prints the token, once
claude mcp add --transport http casemate http://127.0.0.1:7391/mcp --header "Authorization: Bearer cmt_..."
\`\`\`

- **Roles.** \`viewer\` looks at its own sessions and plans, \`operator\` makes and uses its own, \`admin\` has those of all callers. Those of people are nobody's.
- **Each request** is judged anew by the daemon. A token that is revoked (\`casemate caller revoke\`) or expires is worth nothing from then on: its connections, streams, calls and commands end, and the sandboxes that it used are stopped. What they hold is kept for another token of that name. Of a token only the hash is kept.
- **Loopback alone** unless you say otherwise: \`--listen ADDRESS\` beyond it needs \`--tls-cert\`, \`--tls-key\` and the names under which it is reached (\`--host\`). Not for pages of browsers: another \`Host\` and any \`Origin\` are refused. A connection belongs to the token that began it.
- **From inside a sandbox**: an agent there reaches the server as it reaches any host, by a name of your choice, and holds a stand-in of its token: \`casemate mcp serve --host casemate.example.com\`, \`casemate credentials set orchestrator --provider bearer --host casemate.example.com\` with the token, and in your policy

  \`\`\`yaml
  credentials: { orchestrator: { provider: bearer, source: { stored: orchestrator } } }
  network: [{ host: casemate.example.com, credential: orchestrator, upstream: "http://127.0.0.1:7391" }]
  \`\`\`

  It names the server in \`mcpConfig\` with \`{ "type": "http", "url": "https://casemate.example.com/mcp", "headers": { "Authorization": { "credential": "orchestrator", "prefix": "Bearer " } } }\`.

- **A policy of its own** for a caller, in the place of yours: \`--policy FILE\` of \`casemate caller add\` and \`casemate mcp\`. It must lie in none of its roots; the organisation's bounds it as ever.
- **What is left** of callers that are gone: \`casemate reap --dry-run\` lists it, \`casemate reap\` removes it.
- **Bounds.** 16 connections and 64 open requests for each caller, 64 calls that are being answered (over standard input and output, too), messages of 8 MiB at most, and for each tool, and for lists and resources, a number of calls at once that fills again (\`RATE_LIMITED\` says when); ten \`create_session\` at once, then one in six seconds.
- The process that serves HTTP holds no credential: it has no more than a command line has.

## Servers inside

\`mcpConfig\` gives Claude Code, Codex, and an agent whose description says how, servers that run in the sandbox, and \`mcpMounts\` puts their folders there, as copies:

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

A key is never written there. \`{ "credential": NAME }\` becomes the stand-in of a credential that the policy defines, for this sandbox alone; the gateway puts the key on the wire, at the hosts that the policy binds it to.

\`network_isolation\` is the list of hosts that one server may reach, exact names or \`*.example.com\`; \`true\` is the empty list. Such a server runs in a **sandbox of its own** beside the session: same image, same project folder, same copies of \`mcpMounts\`, but a home, a network namespace and a gateway of its own, whose rules are those of the policy at these hosts and nothing elsewhere. Only the credentials that its \`env\` names are there, as stand-ins of its own; the agent's key is not.

- A list only narrows: a host that the policy does not allow, and one where the policy puts a credential on the wire that the server is not given, is refused at \`create_session\`. Nobody is asked for more while it runs, and what a person allows the session opens nothing here.
- The agent finds a short command in its file, which joins it to a place at the gateway, \`mcp-1.casemate.internal\`; the daemon joins that to the server, which is started there like any command, once for each connection and eight times at most. \`get_events\` has it all, with \`server\` in the details; what the server prints on standard error is in \`get_session_logs\`.
- It is started, stopped and removed with the session and by nobody else (\`casemate ls\` shows it as \`for NAME\`). It counts as a sandbox of the caller's, uses up the session's budgets, and all of these servers together have one half of the session's memory, processors, processes and disk.
- For a server that is reached (\`type\`, \`url\`) the list can only be the host of its URL, which the policy has to allow: where it goes from there is not seen here.
- \`{ "preset": "context7" }\` and \`{ "preset": "serena" }\` are servers of an exact version, with or without \`network_isolation\`. Context7 is fetched by npx, from the npm registry where the policy allows it; a list of its own has to name that registry's host. Serena has an image of its own (\`casemate image build serena\`) and so always a sandbox of its own; without a list it has no network.
- Without \`network_isolation\` a server runs beside the agent and may reach what the session may. \`false\` says so in words, and is refused at the levels \`service\` and \`maximum\`.

## Coming from another server

The tools and arguments of servers that keep such sessions in Docker containers are here under the same names; the command is the one line to change. \`ANTHROPIC_API_KEY\`, \`CLAUDE_CODE_USE_BEDROCK\`, \`AWS_REGION\`, \`ANTHROPIC_MODEL\` and \`ANTHROPIC_SMALL_FAST_MODEL\` in the server's environment mean what they meant.`;

function toolSection({ name, about, inputSchema, outputSchema }: Tool): string {
  const parts = [`## ${name}`, about];
  const inputs = rowsOf(inputSchema);
  if (inputs.length > 0) {
    parts.push(table(['argument', 'form', 'meaning'], inputs));
  }
  parts.push(table(['result', 'form', 'meaning'], rowsOf(outputSchema)));
  return parts.join('\n\n');
}

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
}

function rowsOf(schema: Schema, prefix = ''): string[][] {
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

function formOf({ type, items, anyOf, enum: values, const: value }: Schema): string {
  if (values !== undefined) {
    return values.map((one) => `\`${String(one)}\``).join(', ');
  }
  if (value !== undefined) {
    return `\`${JSON.stringify(value)}\``;
  }
  if (anyOf !== undefined) {
    return anyOf.map(formOf).join(' or ');
  }
  return type === 'array' ? `list of ${items === undefined ? 'anything' : formOf(items)}` : (type ?? 'anything');
}

function meaningOf({ description = '', default: fallback, minimum, maximum }: Schema): string {
  const far = Number.MAX_SAFE_INTEGER;
  const range =
    minimum !== undefined && maximum !== undefined && minimum > -far && maximum < far ? `${minimum} to ${maximum}` : undefined;
  const known = fallback === undefined || description.includes('default') ? undefined : `default \`${JSON.stringify(fallback)}\``;
  return [description, range, known].filter((part) => part !== undefined && part !== '').join('; ') || '–';
}
