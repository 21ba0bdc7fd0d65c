import { providers } from '../../credentials/providers.ts';
import { trustEnvironment } from '../trust.ts';

/**
 * Variables that no description may set: those that decide which programs and certificates are trusted, and those that hold
 * phantoms.
 */

const trusted = new Set(Object.keys(trustEnvironment()));

const phantoms = new Set<string>(Object.values(providers).flatMap(({ variables }) => variables.map(({ name }) => name)));

const steering =
  /^(?:PATH|HOME|SHELL|USER|LOGNAME|LANG|TERM|IFS|ENV|BASH_ENV|LD_.*|NODE_.*|PYTHON.*|GIT_.*|SSL_.*|GCONV_PATH|DOCKER_.*|TESTCONTAINERS_.*|COMPOSE_.*|CASEMATE_.*|AWS_.*|.*_PROXY)$/i;

export function reservedVariable(name: string): boolean {
  return steering.test(name) || trusted.has(name) || phantoms.has(name);
}
