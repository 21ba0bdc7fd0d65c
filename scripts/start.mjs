/** `npm start`: sets everything up, then shows the whole way once. Arguments go to `casemate tour`. */
import { main } from './setup/failure.mjs';
import { casemate, prepare } from './setup/prepare.mjs';

await main(async () => {
  await prepare({ images: ['base', 'claude'] });
  return casemate(['tour', ...process.argv.slice(2)]);
});
