import { buildDeps } from '../../images/build-deps.ts';
import type { VerifyRow } from '../../images/image.ts';
import { verifyImage } from '../../images/verify-image.ts';
import { visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { mark, printJson, type Mark } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';

/** `casemate image verify NAME`: every promise of an image as a row; exit code 1 when one is broken. */
export const run: RunCommand = async (args, { paths, env, uid, stdout, stderr }, command) => {
  const parsed = parseOptions(command, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const progress = (line: string): void => void stderr.write(`${visible(line)}\n`);
  const { image, rows } = await verifyImage(name, buildDeps({ paths, env, uid, progress }));
  const verdict = rows.some((row) => row.verdict === 'fail') ? 'fail' : 'pass';
  if (switchOption(parsed, 'json')) {
    printJson(stdout, { recipe: image.recipe, digest: image.digest, verdict, rows });
  } else {
    const width = Math.max(...rows.map((row) => row.check.length));
    stdout.write(
      rows
        .map((row) => `${mark(stdout, marks[row.verdict])} ${visible(row.check).padEnd(width)}  ${visible(row.detail)}\n`)
        .join(''),
    );
    stdout.write(
      verdict === 'pass'
        ? `${image.recipe} holds what it promises\n`
        : `${image.recipe} must not be used: build it again with --no-cache\n`,
    );
  }
  return verdict === 'pass' ? 0 : 1;
};

const marks: Readonly<Record<VerifyRow['verdict'], Mark>> = { pass: 'yes', fail: 'no', skipped: 'unknown' };
