import { policyJsonSchema, type JsonSchema } from './json-schema.ts';

/** The reference page of the policy file, generated from the descriptions in the schema, so that the two cannot drift apart. */

export function policyReference(): string {
  return `${introduction}${functions}\n## Keys\n\n| key | value | meaning |\n|---|---|---|\n${rowsOf(policyJsonSchema(), '').join('\n')}\n`;
}

const introduction = `# The policy file

\`casemate.yaml\` says what a sandbox may use and reach. Everything it does not allow is denied.

- \`casemate policy check\` reads the policy files as a start would.
- \`casemate policy explain HOST\` says which rule decides about a host.
- \`casemate policy schema\` prints the JSON Schema, for editors.

Unknown keys, repeated keys, anchors, tags and second documents are refused, with line and column.

## Layers

| layer | file | what it may do |
|---|---|---|
| organisation | \`/etc/casemate/policy.yaml\` | limit everything below it |
| user | \`policy.yaml\` in the configuration folder (\`~/.config/casemate\`) | narrow the organisation's policy; limit every project |
| project | \`casemate.yaml\` in the present folder or the nearest one above it, up to the folder that holds \`.git\` | narrow. What it opens beyond a bare sandbox must be approved by a person, once for each version of its content |
| command line | options | replace what user and project say, within the organisation's policy |

- A key that a layer does not write has no effect: it limits nothing and changes nothing.
- A lower layer can only be stricter. The order, from less to more strict: \`level\` personal < team < service < maximum; \`permissions\` skip < ask;
  \`telemetry\` true < false; \`engine\` docker, podman, auto < oci; \`runtime\` runc, crun < runsc; \`workspace.mode\` direct < readonly; a smaller limit is stricter;
  a \`workspace.path\` must be the path of the layer above or lie inside it.
- \`agent.name\` and \`image\` are choices: the organisation's value is binding, the user's is a default.
- \`network\` and \`presets\` together say what may be reached. Of each, the value in the lowest layer that writes it applies; if no layer
  writes \`presets\`, the agent's own apply. Once a layer has written either, everything below must lie within both: host, port,
  functions, credential and upstream. \`presets: []\` with \`network: []\` allows nothing at all.
- What a rule leaves out (\`credential\`, the functions, \`upstream\`) it inherits from the rule above it for the same host:
  a preset's rule for the same host and port, or a rule of a higher layer.
- An exact host takes precedence over a wildcard, and a longer wildcard over a shorter one. Rules for the same host are combined.
- A project file must not contain \`waive\`, \`credentials\`, \`share\`, \`upstream\`, or a path that leaves its folder. It may send the key
  of a known API only to that API, unless a higher layer itself binds the key elsewhere.
- \`waive\` in a higher file lists what lower layers may waive; the command line adds to it.

## Paths of functions

A **function** is a method and a path that may be called. The path of a request is matched in one canonical form: escapes of letters, digits and \`-._~\` are decoded, and the query is left out.

- \`*\` stands for any characters except \`/\`, \`**\` for any characters at all. Methods are case-sensitive; \`GET\` does not include \`HEAD\`.
- A path that servers could interpret in two ways matches only \`/**\`, which allows every path. Such paths contain \`//\`, \`.\` or \`..\` segments (also escaped or with
  parameters), \`\\\`, \`#\`, broken escapes, escaped slashes, backslashes or control characters, or doubly escaped forms of these.
`;

const functions = `
## Git, MCP and gRPC

\`allow\`, \`git\` and \`mcp\` together list the permitted functions: a rule that writes any of them allows what they list together and nothing else.

\`\`\`yaml
network:
  - host: github.com
    credential: github
    git:
      - { repository: me/site, push: [agent/*] } # clone, fetch, and push to these branches
      - { repository: "me/*" } # clone and fetch only
  - host: mcp.example.com
    mcp: { path: /mcp, tools: ["read_*", search] }
  - host: grpc.example.com
    allow: ["POST /echo.Echo/Say"] # a method of gRPC is a path
\`\`\`

- Every reference of a push is checked before a byte of it is sent; one that is not allowed refuses the whole push. A request does not say whether an
  \`update\` discards commits (a forced push): use \`changes: [create]\` where no existing reference may change. Signed pushes and push options are refused.
- In a rule with \`git\`, no other function lets a push through. Git LFS is judged by what a request does: reading needs the repository, writing needs a reference that may be pushed to.
  If the content is stored at another host, that host needs its own rule.
- Owner and repository are compared without regard to case at github.com, gitlab.com, bitbucket.org and codeberg.org, elsewhere exactly.
- Every MCP message is read, and each call of a batch is judged by itself. JSON that readers could interpret differently (repeated keys, keys that differ only in case) is refused.
- Below a wildcard a sandbox may use many names, but not as a way to send data: about a thousand characters of different names, then a few more every minute. The same applies to paths
  that a package registry does not know.
`;

function rowsOf(schema: JsonSchema, prefix: string): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const path = `${prefix}${key}`;
    const required = schema.required?.includes(key) === true ? ' (required)' : '';
    const row = `| \`${path}\` | ${kindOf(value)}${required} | ${cell(value.description ?? '')} |`;
    return [row, ...within(value).flatMap(([suffix, inner]) => rowsOf(inner, `${path}${suffix}.`))];
  });
}

/** The maps inside a value: itself, the items of a list, the values of a map of names, the alternatives of a choice. */
function within(schema: JsonSchema): readonly (readonly [string, JsonSchema])[] {
  return [
    ...(schema.properties === undefined ? [] : [['', schema] as const]),
    ...(schema.items === undefined ? [] : within(schema.items).map(([suffix, inner]) => [`[]${suffix}`, inner] as const)),
    ...(typeof schema.additionalProperties === 'object'
      ? within(schema.additionalProperties).map(([suffix, inner]) => [`.NAME${suffix}`, inner] as const)
      : []),
    ...(schema.anyOf ?? []).flatMap(within),
  ];
}

function kindOf(schema: JsonSchema): string {
  if (schema.anyOf !== undefined) {
    return [...new Set(schema.anyOf.map(kindOf))].join(' or ');
  }
  if (schema.const !== undefined) {
    return `\`${JSON.stringify(schema.const)}\``;
  }
  if (schema.enum !== undefined) {
    return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  }
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    number: 'number',
    integer: 'whole number',
    boolean: '`true`, `false`',
    object: 'map',
  };
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  return types.map((type) => (type === 'array' ? `list of ${kindOf(schema.items ?? {})}` : (words[type] ?? type))).join(' or ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
