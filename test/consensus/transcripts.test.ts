// What the Raft core says and keeps, scenario by scenario, as it was written down in transcripts/: each line `$ command` with what came of it
// below. Where a change is meant, `npx vitest run test/consensus/transcripts.test.ts -u` writes them again; read the difference.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { directives } from '../support/raft/data-driven.ts';
import { InteractionTrace } from '../support/raft/interaction-trace.ts';

const DIRECTORY = join(import.meta.dirname, 'transcripts');

/** The same text, each command's output as it is now. */
function played(text: string): string {
  const trace = new InteractionTrace();
  const said = text.split('\n').filter((line) => /^[#$] /.test(line));
  const lines = said.flatMap((line) => {
    if (line.startsWith('#')) return [line];
    const [command = '', input] = line.slice(2).split(' | ');
    const [directive] = directives(`${command}\n${input === undefined ? '' : `${input}\n`}----\n`);
    if (directive === undefined) throw new Error(`no command: ${line}`);
    return [line, trace.run(directive).trimEnd()];
  });
  return `${lines.join('\n')}\n`;
}

describe('the Raft core', () => {
  it.each(readdirSync(DIRECTORY))('does as in %s', async (name) => {
    const path = join(DIRECTORY, name);
    await expect(played(readFileSync(path, 'utf8'))).toMatchFileSnapshot(path);
  });
});
