import { stringify } from 'yaml';

import { formatAllowance } from '../../policy/judging/format-functions.ts';
import {
  noGuards,
  type Budget,
  type BudgetLimits,
  type Ecosystem,
  type Guards,
  type PackagePattern,
} from '../../policy/guards.ts';
import type { GitAllowance, HostPattern, NetworkRule } from '../../policy/policy.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { labBudgets, labCredentials, labRules, type LabFacts } from './lab-rules.ts';

/**
 * The policy of a lab: the policy that a plan came from, as one file with every value written out, plus rules for the lab's
 * hosts. The credentials keep their providers; their values are the lab's canaries, because a lab must not hold real ones. Pure.
 */
export function twinPolicy(plan: Plan, facts: LabFacts): string {
  const { level, agent, engine, runtime, workspace, limits, asks, waive, guards = noGuards } = plan;
  const rules = plan.network.rules;
  const own = rules.filter(isPreset).map(({ origin }) => origin.source);
  const presets = [...new Set([...own, ...(facts.hasRegistry ? ['npm'] : [])])];
  const written = {
    version: 1,
    level,
    ...(agent === undefined
      ? {}
      : { agent: { name: agent.name, permissions: agent.permissions, telemetry: agent.telemetry, provider: 'key' } }),
    image: plan.image.recipe,
    engine,
    runtime,
    workspace: { mode: workspace.mode },
    presets,
    network: [...rules.filter((rule) => !isPreset(rule)).map(writtenRule), ...labRules(facts)],
    credentials: { ...credentialsOf(plan, facts), ...labCredentials(facts) },
    limits: defined({
      memory: limits.memoryBytes,
      cpus: limits.cpus,
      pids: limits.pids,
      disk: limits.diskBytes,
      fileSize: limits.fileBytes,
      files: limits.openFiles,
      time: durationText(limits.timeMs),
      idle: durationText(limits.idleMs),
    }),
    ...writtenGuards(guards),
    asks: { wait: durationText(asks.waitMs) ?? 'off', when: asks.when },
    waive,
  };
  // A policy file has no aliases: what is said twice is written twice.
  return stringify(written, { aliasDuplicateObjects: false });
}

function isPreset({ origin }: NetworkRule): boolean {
  return origin.layer === 'preset';
}

function durationText(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : `${ms}ms`;
}

function credentialsOf({ credentials }: Plan, { canaryFile }: LabFacts): Readonly<Record<string, object>> {
  const simple = credentials.filter(({ rule }) => !rule.provider.endsWith('-login') && rule.provider !== 'aws');
  return Object.fromEntries(
    simple.map(({ rule: { name, provider, header, basic, query, body, variable } }) => [
      name,
      defined({ provider, source: { file: canaryFile }, header, basic, query, body, variable }),
    ]),
  );
}

function writtenRule({ host, ports, credential, http, git, mcp, upstream }: NetworkRule): object {
  return defined({
    host: hostText(host),
    ports,
    credential,
    allow: http?.map(formatAllowance),
    git: git?.map(writtenGit),
    mcp: mcp === undefined ? undefined : defined(mcp),
    upstream,
  });
}

function hostText({ kind, host }: HostPattern): string {
  return kind === 'exact' ? host : `*.${host}`;
}

function writtenGit({ repository, push, changes }: GitAllowance): object {
  return push.length === 0 ? { repository } : { repository, push, changes };
}

function writtenGuards({ budgets, packages, registries, uploads, secrets }: Guards): object {
  const [first] = uploads;
  return {
    // What counts everything that leaves would be used up by the attacks themselves, and refuse their controls.
    budgets: [...budgets.filter(({ credential }) => credential !== undefined).map(writtenBudget), ...labBudgets],
    ...(packages.length === 0 && registries.length === 0
      ? {}
      : {
          packages: defined({
            minAge: greatest(packages.map(({ minAgeMs }) => minAgeMs)),
            block: packages.flatMap(({ block }) => block.map(patternText)),
            // An exemption belongs to the age beside it; of several rules the strictest age holds, without any.
            allow: packages.length === 1 ? packages[0]?.allow.map(patternText) : [],
            registries: defined({ npm: registryHosts(registries, 'npm'), pypi: registryHosts(registries, 'pypi') }),
          }),
        }),
    uploads: defined({
      maxBytes: first?.maxBytes,
      secrets: secrets.mode,
      envFiles: secrets.envFiles,
      except: secrets.except,
    }),
  };
}

function writtenBudget({ credential, per, over, limits }: Budget): object {
  return defined({ credential, per: per === 'life' ? undefined : per, over, ...writtenLimits(limits) });
}

function registryHosts(rows: Guards['registries'], wanted: Ecosystem): readonly string[] | undefined {
  const found = rows.filter(({ ecosystem }) => ecosystem === wanted).map(({ host }) => host);
  return found.length === 0 ? undefined : found;
}

function writtenLimits({ spendMicros, ...counted }: BudgetLimits): object {
  return defined({ ...counted, spend: spendMicros === undefined ? undefined : spendMicros / 1_000_000 });
}

function greatest(values: readonly (number | undefined)[]): string | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : `${Math.max(...known)}ms`;
}

function patternText({ ecosystem, name, range }: PackagePattern): string {
  return `${ecosystem === undefined ? '' : `${ecosystem}:`}${name}${range === undefined ? '' : `@${range}`}`;
}

function defined<T extends object>(value: T): Partial<T> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- the same object with fewer keys
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Partial<T>;
}
