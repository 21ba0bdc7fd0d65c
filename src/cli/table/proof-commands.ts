import type { CommandTable } from '../command.ts';
import { json, policyFile } from './shared-options.ts';

/** The rows of the command table about proving what is promised. */
export const proofCommands: CommandTable = {
  prove: {
    group: 'Proof',
    summary: 'Attack a sandbox and report which guarantees held',
    usage: '[NAME] [OPTION...]',
    options: [
      policyFile,
      {
        name: 'profile',
        value: 'quick|full',
        about: 'quick: only what needs a running sandbox; full (default): everything, in a lab',
      },
      { name: 'only', value: 'G9,...', about: 'only these guarantees, by number, or probes, by id' },
      { name: 'engine', value: 'oci|docker|podman|auto', about: 'what runs the sandbox' },
      { name: 'runtime', value: 'runc|crun|runsc', about: 'container runtime' },
      { name: 'waive', value: 'LAYER', repeats: true, about: 'accept that this host lacks a protection layer' },
      { name: 'trust', about: 'approve what the project policy asks for, for its present content' },
      { name: 'command', value: 'TEXT', about: "attack another tool's sandbox, which this command line starts" },
      { name: 'timeout', value: 'TIME', about: 'with --command: time limit for one start of that sandbox (default 180s)' },
      {
        name: 'surface',
        about: 'attack nothing: print how much of the kernel a sandbox can reach, published and measured, by runtime',
      },
      { name: 'rows', about: 'show every observation, not only what failed' },
      { name: 'html', value: 'FILE', about: 'also write a human-readable report, as one HTML file' },
      { name: 'verify', value: 'FILE', about: 'attack nothing: check the signature of a report that --json printed' },
      json,
    ],
    about:
      'With a name, that running sandbox is attacked; without one, a new sandbox made from the policy in force here. ' +
      'Faults, hostile hosts and credentials are tested on a copy in a lab: a separate installation that is removed ' +
      'afterwards. Each attack has a legal counterpart that must work in the same run. Verdicts: held, broken, not ' +
      'applicable, inconclusive. Exit code 1 if a guarantee is broken, 125 if one could not be decided. The verdict ' +
      "is signed with the journal's key and recorded in the journal. With --command, the probes that do not depend on " +
      "casemate run in another tool's sandbox. The command line is split into words by shell quoting rules; nothing " +
      'in it is expanded. {} stands for the argument list of the probing program; for a tool that takes one string ' +
      'for its own shell, {sh} stands for that list, quoted. {work} is a folder made for the proof, in which the ' +
      'command runs; {home} is a home folder around it, whose credentials are canaries.',
    examples: [
      'casemate prove',
      'casemate prove work --profile quick',
      'casemate prove --policy ./casemate.yaml --only G9,G13',
      'casemate prove --json > proof.json',
      'casemate prove --verify proof.json',
      'casemate prove --surface --runtime runsc',
      "casemate prove --command 'docker run --rm -v {work}:/work -w /work debian {}'",
      "casemate prove --command 'srt -c {sh}'",
    ],
    load: () => import('../commands/prove.ts'),
  },
};
