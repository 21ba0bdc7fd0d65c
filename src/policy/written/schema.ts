import { engineNames } from '../../base/engine-names.ts';
import { z } from 'zod';

import { layers } from '../../base/layers.ts';
import { plainName } from '../../base/plain-name.ts';
import { parseDurationMs } from '../../base/units.ts';
import { credential, credentialName, hostPattern } from './credential-schema.ts';
import { budgets, packages, prices, uploads } from './guards-schema.ts';
import { gitChanges, layoutFolders, levels } from '../policy.ts';
import { readAllowance } from './read-allowance.ts';
import { readRef, readRepository, type GitReading } from './read-git.ts';
import { readUpstream } from './read-upstream.ts';
import { byteSize, byteSizeFrom, durationLike, refuseValue } from './written-value.ts';

/** The form of `casemate.yaml`. Editors and the reference page show the descriptions of its keys. */

const duration = durationLike('90s, 30m or 2h');

const allowance = z.string().transform((value, ctx) => {
  const reading = readAllowance(value);
  return 'allowance' in reading ? reading.allowance : refuseValue(ctx, value, reading.fault);
});

const fromReading = (read: (text: string) => GitReading) =>
  z.string().transform((value, ctx) => {
    const reading = read(value);
    return 'value' in reading ? reading.value : refuseValue(ctx, value, reading.fault);
  });

const git = z.strictObject({
  repository: fromReading(readRepository).describe(
    'path of the repository at the host: `owner/name`, `owner/*`, `**`; with or without `.git`',
  ),
  push: z
    .array(fromReading(readRef))
    .max(64)
    .default([])
    .describe(
      'branches (`agent/*`) or full references (`refs/tags/v*`) that may be pushed to; default: none, clone and fetch only',
    ),
  changes: z
    .array(z.enum(gitChanges))
    .min(1)
    .max(gitChanges.length)
    .default(['create', 'update'])
    .describe(
      'what a push may do with them; default `[create, update]`. A request does not say whether an `update` discards commits; with `[create]` alone every existing reference stays as it is',
    ),
});

const mcpName = (what: string) =>
  z
    .string()
    .regex(/^[\x21-\x29\x2a-\x7e]{1,256}$/, `is not the name of a ${what}; \`*\` and \`**\` stand for any characters in it`);

const mcp = z.strictObject({
  path: z
    .string()
    .transform((value, ctx) => {
      const reading = readAllowance(value);
      return 'allowance' in reading && reading.allowance.methods === undefined
        ? reading.allowance.path
        : refuseValue(ctx, value, 'is not a path; write the path of the endpoint, such as "/mcp"');
    })
    .describe('path of the endpoint, e.g. `/mcp`'),
  tools: z.array(mcpName('tool')).max(256).optional().describe('tools that may be called, `*` allowed; default: all of them'),
  methods: z
    .array(mcpName('method'))
    .max(64)
    .optional()
    .describe(
      'methods besides those that a session needs (initialize, ping, notifications, the lists), such as `resources/read`; default: none if `tools` is given, otherwise all',
    ),
});

const upstream = z
  .string()
  .transform(
    (value, ctx) =>
      readUpstream(value) ??
      refuseValue(
        ctx,
        value,
        'is not an upstream; write scheme, host and port only, such as http://127.0.0.1:8080 or tcp://10.0.0.5:5432',
      ),
  );

const rule = z.strictObject({
  host: hostPattern.describe('exact name, or every name below one: `api.example.com`, `*.example.com`'),
  ports: z
    .array(z.number().int().min(1).max(65_535))
    .min(1)
    .max(64)
    .transform((ports) => [...new Set(ports)].toSorted((a, b) => a - b))
    .optional()
    .describe('TCP ports; default `[443]`'),
  credential: credentialName
    .optional()
    .describe('name of the credential that the gateway puts on the wire here; the sandbox holds a phantom'),
  allow: z
    .array(allowance)
    .min(1)
    .max(64)
    .optional()
    .describe(
      'functions allowed there: a path, with methods before it if not all; `*` matches within a segment, `**` across segments. Default: everything, or what `git` and `mcp` allow',
    ),
  git: z
    .array(git)
    .max(64)
    .optional()
    .describe('repositories of a git server over HTTPS: clone and fetch, and push to named references only'),
  mcp: mcp.optional().describe('a server of the Model Context Protocol over HTTP: the tools and methods that may be called'),
  upstream: upstream
    .optional()
    .describe(
      'connect to this instead of the host: `http://`, `https://`, or `tcp://` with a port for what is not HTTP; the only way to a loopback or private address. Not in a project file',
    ),
});

/** What is asked for in a file or over MCP. */
export const layout = z
  .union([z.literal('all'), z.array(z.enum(layoutFolders)).min(1).max(layoutFolders.length)])
  .transform((asked) => (asked === 'all' ? layoutFolders : layoutFolders.filter((folder) => asked.includes(folder))));

/** With less no runtime brings a first process up: each needs some of it before anything of the sandbox runs. */
const leastMemory = 32 * 1024 ** 2;

const limits = z.strictObject({
  memory: byteSizeFrom(leastMemory).optional().describe('memory, 32 MiB at least; default `4GiB`'),
  cpus: z.number().min(0.05).max(1024).optional().describe('processors, fractions allowed; default `2`'),
  pids: z.number().int().min(8).max(1_000_000).optional().describe('processes and threads; default `512`'),
  disk: byteSize.optional().describe('size of the home folder; default `10GiB`'),
  fileSize: byteSize.optional().describe('largest single file, also in the workspace; default `4GiB`'),
  files: z.number().int().min(64).max(1_048_576).optional().describe('open descriptors of a process; default `4096`'),
  time: duration.optional().describe('wall clock of the whole sandbox; default: no end'),
  idle: duration.optional().describe('stop after this long without a command; default: never'),
});

const share = z.strictObject({
  ready: z
    .number()
    .int()
    .min(0)
    .max(16)
    .optional()
    .describe(
      'containers prepared for future sandboxes, of the kinds that were requested last; they shorten the start; `0`: none; default `2`',
    ),
  running: z
    .number()
    .int()
    .min(1)
    .max(4000)
    .optional()
    .describe('sandboxes that may run at once; default: one for each 64 MiB of `share.memory`, at most 500'),
  memory: byteSize
    .optional()
    .describe("memory of all sandboxes together, within which each has its own limit; default: four fifths of the host's memory"),
  cpus: z
    .number()
    .min(0.05)
    .max(4096)
    .optional()
    .describe("processors of all sandboxes together; default: nine tenths of the host's"),
  pids: z
    .number()
    .int()
    .min(64)
    .max(4_000_000)
    .optional()
    .describe("processes and threads of all sandboxes together; default: half of the host's maximum, at most 65536"),
  callers: z
    .number()
    .int()
    .min(0)
    .max(4000)
    .optional()
    .describe('sandboxes that all MCP callers may have, running or not; default `30`'),
  eachCaller: z.number().int().min(0).max(4000).optional().describe('sandboxes that one MCP caller may have; default `10`'),
});

const asks = z.strictObject({
  wait: z
    .string()
    .transform((value, ctx) => {
      const waitMs = value === 'off' ? 0 : parseDurationMs(value);
      return waitMs === undefined || (waitMs !== 0 && (waitMs < 1000 || waitMs > 3_600_000))
        ? refuseValue(ctx, value, 'is neither `off` nor a time from 1s to 1h, such as 60s or 10m')
        : waitMs;
    })
    .optional()
    .describe(
      'how long a denied request may wait for `casemate approve`; `off`: nobody is asked and nothing can be approved; default `60s`, at the levels `service` and `maximum` `off`. A project file may only shorten it',
    ),
  when: z
    .enum(['watched', 'always'])
    .optional()
    .describe(
      '`watched`: a request waits only while somebody runs `casemate requests --follow`; otherwise it is listed and denied at once; `always`: it waits in any case; default `watched`',
    ),
});

const agentName = z
  .string()
  .regex(plainName, 'is not the name of an agent')
  .describe(
    'agent to use: `claude`, `codex`, or one that [a file describes](agents.md); `none`: commands only, whatever a higher layer names',
  );

const agent = z
  .union([
    agentName,
    z.strictObject({
      name: agentName.optional(),
      permissions: z
        .enum(['ask', 'skip'])
        .optional()
        .describe('`ask`: the agent asks before it acts; `skip`: it does not; default `ask`'),
      telemetry: z.boolean().optional().describe('whether the agent may send usage reports to its vendor; default `false`'),
      provider: z
        .string()
        .regex(plainName, 'is not the name of a provider')
        .optional()
        .describe(
          'how the agent reaches its model: `bedrock` or `vertex` for `claude`; with its vendor, `login` or `key`; default: the login on this host if there is one and the level is `personal` or `team`, otherwise the key',
        ),
      region: z
        .string()
        .regex(/^[a-z]{2,16}(?:-[a-z0-9]{1,16}){0,4}$/, 'is not a region')
        .optional()
        .describe('region of that provider, such as `eu-west-1`'),
      project: z
        .string()
        .regex(/^[a-z][a-z0-9-]{3,62}$/, 'is not the id of a project')
        .optional()
        .describe('project of that provider, for `vertex`'),
    }),
  ])
  .transform((value) => (typeof value === 'string' ? { name: value } : value));

const docker = z.strictObject({
  run: z.boolean().optional().describe('containers may be created, run, inspected and removed; default `false`'),
  build: z.boolean().optional().describe('images may be built; needs `run`; default `false`'),
  images: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9._/-]{0,180}(?::[\w][\w.-]{0,127})?$/, 'is not the name of an image'))
    .max(64)
    .optional()
    .describe("images of the host's engine that may be used, by name and tag, such as `postgres:16`; default: none"),
});

const layerNames = Object.keys(layers).filter((key): key is keyof typeof layers => Object.hasOwn(layers, key));

export const policySchema = z
  .strictObject({
    version: z.literal(1).describe('version of this format: `1`'),
    level: z
      .enum(levels)
      .optional()
      .describe(
        'how much of your own configuration the agent gets: `personal` most, `maximum` nothing; `service` uses the configuration of a service account, from the folder `service` beside your policy file; default `personal`',
      ),
    agent: agent.optional().describe('the agent, by name or with settings; default: none, commands only'),
    image: z
      .string()
      .regex(/^[^~\0][^\0]{0,1023}$/, 'is neither the name of a recipe nor the path of a recipe file')
      .optional()
      .describe(
        "image recipe by name, or the path of a recipe file (with a `/` or ending in `.yaml`); default: the agent's, else `base`",
      ),
    engine: z
      .enum([...engineNames, 'auto'])
      .optional()
      .describe(
        'what runs the sandbox: `oci`, the container runtime directly; `docker`, a Docker Engine on this host; `podman`, Podman on this host; the latter two lack some protection layers; `auto`, whichever of them lacks the fewest; default `oci`, or `auto` if its runtime is not installed',
      ),
    runtime: z
      .enum(['runc', 'crun', 'runsc'])
      .optional()
      .describe('container runtime; `runsc` gives the sandbox its own kernel; default `runc`'),
    workspace: z
      .strictObject({
        path: z
          .string()
          .regex(/^[^~\0][^\0]{0,4095}$/, "is not a path (the shell's ~ is not read here)")
          .optional()
          .describe('folder shown as /workspace; default: the folder of the project'),
        mode: z
          .enum(['direct', 'readonly'])
          .optional()
          .describe('`direct`: the sandbox changes files in place; `readonly`: it cannot; default `direct`'),
        layout: layout
          .optional()
          .describe(
            'folders that are created there if missing: `all`, or some of `imports` (which the sandbox cannot write), `exports` (which a transfer takes out by default), `shared`, `Projects`, `Documentation`, `Research`; a lower layer adds to it; default: none',
          ),
      })
      .optional()
      .describe('the folder that the sandbox works in'),
    presets: z
      .array(z.string().regex(plainName, 'is not the name of a preset'))
      .max(32)
      .optional()
      .describe("named sets of rules: an agent (`claude`, `codex`), `npm`, `debian`, `pypi`, `github`; default: the agent's own"),
    network: z.array(rule).max(256).optional().describe('what may be reached besides the presets; default: nothing'),
    credentials: z
      .record(credentialName, credential)
      .optional()
      .describe(
        'credentials by name, besides the built-in ones: `anthropic`, `openai`, `github`, `npm`, `pypi`, `aws`, `google`, `azure`. Not in a project file',
      ),
    limits: limits.optional().describe('bounds on what the sandbox uses'),
    budgets: budgets
      .optional()
      .describe(
        'how much may be sent and spent; the budgets of all policy files apply together. Once one is used up, requests get a 429',
      ),
    prices: prices
      .optional()
      .describe('prices of models by name or name prefix, in US dollars per million tokens. Not in a project file'),
    packages: packages
      .optional()
      .describe('which package versions registries may offer; the rules of all policy files apply together'),
    uploads: uploads.optional().describe('how much a request may contain, and what must not be in it'),
    share: share
      .optional()
      .describe('how much of the host all sandboxes of a user may use together, whoever requested them. Not in a project file'),
    asks: asks.optional().describe('whether a person may allow, while a sandbox runs, what its rules deny'),
    docker: docker
      .optional()
      .describe(
        'Docker for programs inside, through a broker: containers made with it are part of the sandbox. Needs the engine `docker`; default: nothing',
      ),
    waive: z
      .array(z.enum(layerNames))
      .max(32)
      .optional()
      .describe('protection layers whose absence you accept on this host. Not in a project file'),
  })
  .meta({ title: 'Policy of Casemate' });

/** A policy file as written, each value read and none added. A key that is absent has no opinion. */
export type WrittenPolicy = z.output<typeof policySchema>;
export type WrittenRule = NonNullable<WrittenPolicy['network']>[number];
export type WrittenCredential = NonNullable<WrittenPolicy['credentials']>[string];
