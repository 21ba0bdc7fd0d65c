/** How the broker refuses, in the form that Docker clients know: a status and a sentence. */

/** Which part of the policy, or of what holds for every sandbox, says no. */
export type Rule = 'docker.run' | 'docker.build' | 'docker.images' | 'confinement' | 'limits' | 'form';

export class BrokerRefusal extends Error {
  readonly status: number;
  /** `undefined`: nothing was refused; it is not there, or not now */
  readonly rule: Rule | undefined;

  constructor(status: number, message: string, rule?: Rule) {
    super(rule === undefined || rule === 'form' ? message : `blocked by casemate: ${message} (rule ${rule})`);
    this.name = 'BrokerRefusal';
    this.status = status;
    this.rule = rule;
  }
}

/** It is offered to no sandbox, or not to this one. */
export function notOffered(rule: Exclude<Rule, 'form'>, message: string): BrokerRefusal {
  return new BrokerRefusal(403, message, rule);
}

/** It cannot be read in one way only, or asks for what the broker does not know. */
export function malformed(message: string): BrokerRefusal {
  return new BrokerRefusal(400, message, 'form');
}

export function notFound(message: string): BrokerRefusal {
  return new BrokerRefusal(404, message);
}

export function conflict(message: string): BrokerRefusal {
  return new BrokerRefusal(409, message);
}
