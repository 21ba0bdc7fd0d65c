import type { CommandTable } from '../command.ts';
import { json, policyFile } from './shared-options.ts';

/** The rows of the command table about proving what is promised. */
export const proofCommands: CommandTable = {
  prove: {
    group: 'Proof',
    summary: 'Attack a sandbox and say which guarantees held',
    usage: '[NAME] [OPTION...]',
    options: [
      policyFile,
      {
        name: 'profile',
        value: 'quick|full',
        about: 'quick: only what needs a running sandbox; full (default): everything, in a lab',
      },
      { name: 'only', value: 'G9,...', about: 'only these guarantees, by number, or probes, by id' },
      { name: 'engine', value: 'oci|docker|podman|auto', about: 'what makes the sandbox' },
      { name: 'runtime', value: 'runc|crun|runsc', about: 'container runtime' },
      { name: 'waive', value: 'LAYER', repeats: true, about: 'accept that this host lacks a protection layer' },
      { name: 'trust', about: 'approve what the project policy asks for, for its present content' },
      { name: 'command', value: 'TEXT', about: 'attack the sandbox of another tool, which this command line starts' },
      { name: 'timeout', value: 'TIME', about: 'with --command: for one start of that sandbox, default 180s' },
      {
        name: 'surface',
        about: 'attack nothing: print what of the kernel a sandbox can reach, published and measured, by runtime',
      },
      { name: 'rows', about: 'show every observation, not only what failed' },
      { name: 'html', value: 'FILE', about: 'write the report for a person to read, as one file' },
      { name: 'verify', value: 'FILE', about: 'attack nothing: check the signature of a report that --json printed' },
      json,
    ],
    about:
      'With a name, the running sandbox itself is attacked; without one, a sandbox of the policy that holds here. Faults, hostile ' +
      'hosts and credentials are tried on a twin in a lab: an installation of its own that is removed afterwards. Each attack has a ' +
      'legal twin that must work in the same run. Verdicts: held, broken, not applicable, inconclusive. Exit code 1 when a ' +
      'guarantee is broken, 125 when one could not be decided. The verdict is signed with the key of the journal, which records it. ' +
      'With --command the probes that need nothing of ours run in a sandbox of another tool. The text is split into words by the ' +
      'quoting rules of a shell, and nothing in it is expanded. {} stands for the argument list of the probing program; where a tool takes ' +
      'one text for a shell of its own, {sh} stands for that list, quoted. {work} is a folder made for the proof, and the one the command ' +
      'runs in; {home} is a home around it, whose credentials are canaries.',
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
