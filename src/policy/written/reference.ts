import { policyJsonSchema, type JsonSchema } from './json-schema.ts';

/** The reference page of the policy file, generated from the descriptions in the schema, so that the two cannot drift apart. */

export function policyReference(): string {
  return `${introduction}${functions}\n## Keys\n\n| key | value | meaning |\n|---|---|---|\n${rowsOf(policyJsonSchema(), '').join('\n')}\n`;
}

const introduction = `# The policy file

\`casemate.yaml\` says what a sandbox may use and reach. What it does not allow is denied. Unknown keys, repeated keys,
anchors, tags and second documents are refused with line and column. \`casemate policy schema\` prints the JSON Schema
for editors; \`casemate policy check\` reads the files as a start would; \`casemate policy explain HOST\` says which rule decides.

## Layers

| layer | file | may |
|---|---|---|
| organisation | \`/etc/casemate/policy.yaml\` | bound everything below it |
| user | \`policy.yaml\` in the configuration folder | narrow the organisation; bound every project |
| project | \`casemate.yaml\`, from the present folder up to the one that holds \`.git\` | narrow; what it opens beyond a bare sandbox is approved by a human once for each content |
| command line | options | replace what user and project say, within what the organisation says |

- A key that a layer does not write is no opinion: it bounds nothing and changes nothing.
- A lower layer may only narrow. Order of strictness: \`level\` personal < team < service < maximum; \`permissions\` skip < ask;
  \`telemetry\` true < false; \`engine\` docker, podman, auto < oci; \`runtime\` runc, crun < runsc; \`workspace.mode\` direct < readonly; a smaller limit is stricter;
  a \`workspace.path\` must be the upper one or lie in it.
- \`agent.name\` and \`image\` are choices: what the organisation writes binds, what the user writes is a default.
- \`network\` and \`presets\` together are what may be reached. Of each, the lowest layer that writes it holds; where no layer
  writes \`presets\` it is the agent's own. Once a layer writes either, everything below must lie within both: host, port,
  functions, credential and upstream. \`presets: []\` with \`network: []\` means nothing at all.
- A rule takes what it leaves out (\`credential\`, the functions, \`upstream\`) from the rule above that decides about the same host:
  a preset's rule for the same host and port, or a rule of a higher layer.
- An exact host beats a wildcard, a longer wildcard a shorter one; rules that say the same are united.
- A project file must not contain \`waive\`, \`credentials\`, \`share\`, \`upstream\`, nor a path that leaves its folder, and may send the key
  of a known API only to that API, unless a higher layer binds it elsewhere itself.
- \`waive\` of a higher file is what lower layers may waive; the command line adds to it.

## Paths of functions

A request path is matched in one canonical form: escapes of letters, digits and \`-._~\` are decoded, the query is left out. A path
that servers could read in two ways matches no function but \`/**\`, which allows every path: \`//\`, \`.\` and \`..\` segments (escaped or with
parameters, too), \`\\\`, \`#\`, broken escapes, escaped slashes, backslashes and control characters, and doubly escaped forms of these.
\`*\` stands for any run of characters without \`/\`, \`**\` for any run at all. Methods are case-sensitive; \`GET\` does not include \`HEAD\`.
`;

const functions = `
## Git, MCP and gRPC

\`allow\`, \`git\` and \`mcp\` are one statement about functions: a rule that writes any of them allows what they say together and nothing else.

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

- Of a push every reference is judged before a byte of it goes out, and one that is not allowed refuses the whole push. A request does not say whether an
  \`update\` throws commits away (a forced push): give \`changes: [create]\` where no existing reference may change. Signed pushes and push options are refused.
- Beside \`git\` no other function lets a push through. Large files (LFS) are told apart by what they do: reading needs the repository, writing a reference that may be pushed to;
  where their content lies at another host, that host needs a rule of its own.
- Owner and repository are compared without case at github.com, gitlab.com, bitbucket.org and codeberg.org, elsewhere with it.
- Of MCP every message is read, each call of a batch by itself. JSON that readers could take in different ways (repeated keys, keys in other case) is refused.
- A caller may use many names below a wildcard, but not as a way to write: about a thousand characters of different names, then some every minute. The same holds for paths
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
