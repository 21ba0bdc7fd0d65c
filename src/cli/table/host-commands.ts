import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about this host and the program. */
export const hostCommands: CommandTable = {
  tour: {
    group: 'This host',
    summary: 'Demonstrate everything once: an agent repairs a sample project in a sandbox',
    usage: '[OPTION...]',
    options: [
      { name: 'stand-in', about: 'use the stand-in for the model API even if there is a key' },
      { name: 'runtime', value: 'runc|crun|runsc', about: 'container runtime' },
      { name: 'waive', value: 'LAYER', repeats: true, about: 'accept that this host lacks a protection layer' },
      json,
    ],
    examples: ['casemate tour', 'ANTHROPIC_API_KEY=... casemate tour'],
    load: () => import('../commands/tour.ts'),
  },
  setup: {
    group: 'This host',
    summary: 'Prepare this host: create folders and build images',
    usage: '[OPTION...]',
    options: [{ name: 'image', value: 'RECIPE', repeats: true, about: 'images to build (default: base)' }, json],
    examples: ['casemate setup', 'casemate setup --image base --image claude'],
    load: () => import('../commands/setup.ts'),
  },
  doctor: {
    group: 'This host',
    summary: 'Probe which protections this host provides and what is missing',
    usage: '[OPTION...]',
    options: [
      { name: 'engine', value: 'oci|docker|podman', about: 'engine to examine (default: oci); the others are listed, too' },
      { name: 'runtime', value: 'runc|crun|runsc', about: 'container runtime to examine' },
      { name: 'layers', about: 'test only programs and layers; start no sandbox' },
      json,
    ],
    about:
      'Programs and protection layers are tested one by one; then a throw-away sandbox is attacked with the quick ' +
      'probes of casemate prove. Exit code 1 if a layer is missing or a guarantee does not hold.',
    examples: ['casemate doctor', 'casemate doctor --json'],
    load: () => import('../commands/doctor.ts'),
  },
  'daemon status': {
    group: 'This host',
    summary: 'Show the daemon: process, uptime, sandboxes, memory',
    usage: '',
    options: [json],
    examples: ['casemate daemon status'],
    load: () => import('../commands/daemon-status.ts'),
  },
  'daemon stop': {
    group: 'This host',
    summary: 'Stop the daemon and the sandboxes it holds',
    usage: '',
    options: [{ name: 'force', about: 'stop running sandboxes, too' }, json],
    examples: ['casemate daemon stop'],
    load: () => import('../commands/daemon-stop.ts'),
  },
  completion: {
    group: 'This host',
    summary: 'Print a completion script for a shell',
    usage: 'bash|zsh|fish',
    options: [],
    examples: [
      'casemate completion bash > /etc/bash_completion.d/casemate',
      'casemate completion zsh > ~/.zfunc/_casemate',
      'casemate completion fish > ~/.config/fish/completions/casemate.fish',
    ],
    about: 'For zsh the folder must be in $fpath before compinit runs; once it has run, the file can be sourced instead.',
    load: () => import('../commands/completion.ts'),
  },
};
