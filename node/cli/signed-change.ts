// `kalos change draft | sign | commit`: irreversible actions, signed by two operators.
import { writeFileSync } from 'node:fs';
import { OPERATORS_NEEDED, type SignedChange, signChange, signedChangeSchema } from '../action/signed-change.ts';
import { readInput } from '../adapters/regular-file.ts';
import { callAgent } from '../api/client.ts';
import { keyFrom } from '../config/adapters/swarm-files.ts';
import { KalosError, reasonOf } from '../errors.ts';
import { wordsOf } from '../issue-words.ts';
import { callsOf } from './act.ts';
import { EXIT } from './exit-codes.ts';
import { paint, printable } from './output.ts';
import { when } from './times.ts';

function readChange(file: string): SignedChange {
  const hint = 'create one with: kalos change draft TOOL … --out FILE';
  let content: unknown;
  try {
    content = JSON.parse(readInput(file).toString('utf8'));
  } catch (error) {
    throw new KalosError('usage', `${file} is not a change: ${reasonOf(error)}`, hint);
  }
  const parsed = signedChangeSchema.safeParse(content);
  if (!parsed.success)
    throw new KalosError('usage', `${file} is not a change: ${wordsOf(parsed.error, content, signedChangeSchema)}`, hint);
  return parsed.data;
}

const write = (file: string, change: SignedChange): void => writeFileSync(file, `${JSON.stringify(change, null, 2)}\n`);

function describe({ node, calls, diff, reason, untilMs, signatures }: SignedChange): string {
  const words = calls.map((call) =>
    Object.entries(call)
      .map(([key, value]) => (key === 'tool' ? String(value) : `${key}=${String(value)}`))
      .join(' '),
  );
  return [
    `${paint('bold', words.map(printable).join(' + '))} on ${printable(node)}: ${printable(reason)}`,
    ...diff.map((line) => `  ${printable(line)}`),
    `  until ${when(untilMs)}; signed by ${signatures.length} of ${OPERATORS_NEEDED}`,
  ].join('\n');
}

export async function draftChange(
  directory: string | undefined,
  words: readonly string[],
  { out, reason, forMs }: { out: string; reason: string; forMs: number },
): Promise<number> {
  const calls = await callsOf(directory, words);
  const change = await callAgent<SignedChange>(directory, 'POST', '/v1/changes/draft', { calls, reason, forMs });
  write(out, change);
  process.stdout.write(`${describe(change)}\n${out}: two operators must run: kalos change sign ${out} --operator-key KEY\n`);
  return EXIT.ok;
}

export async function signChangeFile(file: string, keyFile: string): Promise<number> {
  const signed = await signChange(readChange(file), await keyFrom(keyFile));
  write(file, signed);
  const next =
    signed.signatures.length < OPERATORS_NEEDED
      ? 'one more operator must sign it'
      : `on ${signed.node}: kalos change commit ${file}`;
  process.stdout.write(`${describe(signed)}\n${printable(next)}\n`);
  return EXIT.ok;
}

export async function commitChange(directory: string | undefined, file: string): Promise<number> {
  const answer = await callAgent<{ plan: string; result: string; detail: string }>(
    directory,
    'POST',
    '/v1/changes/commit',
    readChange(file),
  );
  const isDone = answer.result === 'confirmed';
  process.stdout.write(`${paint(isDone ? 'green' : 'red', answer.result)}  ${printable(answer.detail)}  (${answer.plan})\n`);
  return isDone ? EXIT.ok : EXIT.error;
}
