import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about images. */
export const imageCommands: CommandTable = {
  'image build': {
    group: 'Images',
    summary: 'Build an image from a recipe',
    usage: '[RECIPE]',
    options: [
      { name: 'locked', about: "use exactly the versions of the recipe's last lock" },
      { name: 'no-cache', about: 'rebuild every part' },
      json,
    ],
    examples: ['casemate image build', 'casemate image build claude', 'casemate image build ./recipe.yaml --locked'],
    load: () => import('../commands/image-build.ts'),
  },
  'image ls': {
    group: 'Images',
    summary: 'List images',
    usage: '',
    options: [json],
    examples: ['casemate image ls'],
    load: () => import('../commands/image-ls.ts'),
  },
  'image show': {
    group: 'Images',
    summary: 'Show an image: digest, lock, bill of materials',
    usage: 'NAME',
    options: [json],
    examples: ['casemate image show claude'],
    load: () => import('../commands/image-show.ts'),
  },
  'image verify': {
    group: 'Images',
    summary: 'Check an image: digest, user, setuid files, secrets, agent version',
    usage: 'NAME',
    options: [json],
    examples: ['casemate image verify claude'],
    load: () => import('../commands/image-verify.ts'),
  },
  'image rm': {
    group: 'Images',
    summary: 'Remove an image that no sandbox uses',
    usage: 'NAME --confirm NAME',
    options: [{ name: 'confirm', value: 'NAME', about: 'the name once more' }, json],
    examples: ['casemate image rm codex --confirm codex'],
    load: () => import('../commands/image-rm.ts'),
  },
};
