// `kalos __complete KIND -- WORDS`: names for the completion of a command line in a shell. Fast, and silent if no agent answers.
import { readdirSync } from 'node:fs';
import type { AgentStatus } from '../agent/agent-status.ts';
import type { KnownPolicy } from '../agent/policies.ts';
import { callAgent } from '../api/client.ts';
import { EXIT } from './exit-codes.ts';

/** An agent answers within milliseconds. An agent that hangs delays the user no longer than this. */
const WITHIN_MS = 1_000;
const MAX_VALUES = 200;
/** Shells expand what they complete: values with special characters are left out, and so are very long ones. */
const PLAIN = /^[\w.:@+/-]{1,120}$/;

type Ask = <Answer>(path: string) => Promise<Answer>;
interface Named {
  name: string;
}
interface Identified {
  id: string;
}
const names = (some: readonly Named[]): string[] => some.map(({ name }) => name);
const ids = (some: readonly Identified[]): string[] => some.map(({ id }) => id);

/** The first column of a query, from this agent's own data. */
const rows =
  (sql: string) =>
  async (_ask: Ask, dir: string | undefined): Promise<string[]> => {
    const body = { sql, timeoutMs: WITHIN_MS, mode: 'local' };
    const answer = await callAgent<{ rows: unknown[][] }>(dir, 'POST', '/v1/query', body);
    return answer.rows.map(([first]) => String(first));
  };

const VALUES = {
  member: async (ask) =>
    names((await ask<(Named & { state: string })[]>('/v1/members/all')).filter(({ state }) => state !== 'removed')),
  policy: async (ask) => (await ask<KnownPolicy[]>('/v1/policies')).map(({ policy }) => policy.name),
  incident: rows('select id from incidents order by opened_ms desc limit 50'),
  service: async (ask) => names((await ask<AgentStatus>('/v1/status')).services),
  approval: async (ask) => ids((await ask<AgentStatus>('/v1/status')).approvals),
  silence: async (ask) => ids((await ask<AgentStatus>('/v1/status')).silences),
  plan: rows('select id from plans order by time desc limit 50'),
  metric: rows('select distinct name from metrics order by name'),
  tool: async (ask) => names(await ask<Named[]>('/v1/tools')),
  question: async (ask) => names(await ask<Named[]>('/v1/questions')),
  grant: async (ask) => ids((await ask<{ grants: Identified[] }>('/v1/grants')).grants),
  operator: async (ask) => names(await ask<Named[]>('/v1/operators')),
  token: async (ask) => ids(await ask<Identified[]>('/v1/tokens')),
  'api-token': async (ask) => ids(await ask<Identified[]>('/v1/api-tokens')),
  table: async () => names((await import('../query/catalogue/catalogue.ts')).TABLES),
  topic: async () => [...(await import('../api/feed.ts')).TOPICS],
  scenario: async () =>
    readdirSync((await import('../adapters/package.ts')).findPackage().scenarios)
      .filter((file) => file.endsWith('.toml'))
      .map((file) => file.slice(0, -'.toml'.length)),
} satisfies Record<string, (ask: Ask, dir: string | undefined) => Promise<string[]>>;
export type ValueKind = keyof typeof VALUES;

/** The value of an option among the words of a line: `--dir X`, or `--dir=X`, which a shell may have split. */
export function valueIn(words: readonly string[], option: string): string | undefined {
  const at = words.findIndex((word) => word === option || word.startsWith(`${option}=`));
  if (at < 0) return undefined;
  const word = words[at] ?? '';
  return word === option ? words[words[at + 1] === '=' ? at + 2 : at + 1] : word.slice(option.length + 1);
}

/** Prints the names of a kind, one per line; nothing if the agent does not answer in time. */
export async function complete(kind: string, words: readonly string[]): Promise<number> {
  setTimeout(() => process.exit(EXIT.ok), WITHIN_MS);
  const dir = valueIn(words, '--dir');
  try {
    const values = await VALUES[kind as ValueKind]?.((path) => callAgent(dir, 'GET', path), dir);
    const shown = [...new Set((values ?? []).filter((value) => PLAIN.test(value)))].slice(0, MAX_VALUES);
    process.stdout.write(shown.map((value) => `${value}\n`).join(''));
  } catch {
    // no agent, or one that cannot answer
  }
  process.exit(EXIT.ok);
}
