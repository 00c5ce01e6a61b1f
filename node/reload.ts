// The configuration of a running agent, and its reload (SIGHUP, `kalos config reload`). Keys that can change without a restart are
// applied; the others are listed, and need a restart. An invalid configuration changes nothing.
import type { Agent } from './agent/agent.ts';
import { agentSettings } from './config/agent-config.ts';
import { type Config, resolveConfig } from './config/config.ts';
import { type Entry, type WholeEntry, wholeEntriesOf } from './config/entries.ts';
import { type Layer, mergeLayers, nameOf, placeIn } from './config/layers.ts';
import { PolicyError } from './detection/policy-detector.ts';
import { KalosError } from './errors.ts';
import { shortly } from './issue-words.ts';

/** Keys that change without a restart. */
export const LIVE_KEYS = ['mode', 'maintenance', 'question', 'policy', 'agent_log'] as const;
type LiveKey = (typeof LIVE_KEYS)[number];

export interface Reloaded {
  /** False: it is invalid, and the old one stays active. */
  taken: boolean;
  /** What changed, what needs a restart, or what is wrong. */
  lines: string[];
}

/** Maximum characters about the changes in the audit. */
const MAX_NOTED = 2_000;

export class Configuration {
  readonly #read: () => Layer[];
  /** The active entries; those that need a restart are not among them. */
  #entries: WholeEntry[];
  #inForce: Config;
  /** As last read. */
  #layers: readonly Layer[];

  /** @throws KalosError */
  constructor(read: () => Layer[]) {
    this.#read = read;
    this.#layers = read();
    this.#entries = wholeEntriesOf(this.#layers);
    this.#inForce = resolveConfig(this.#layers);
  }

  get inForce(): Config {
    return this.#inForce;
  }

  /** An error's text, with file and line if it is about a policy of the configuration. */
  located(error: Error): string {
    if (!(error instanceof PolicyError)) return error.message;
    const merged = mergeLayers(this.#layers);
    const policies = Array.isArray(merged.document.policy) ? merged.document.policy : [];
    const nth = policies.findIndex((one) => nameOf(one) === error.policy);
    const place = nth < 0 ? undefined : placeIn(this.#layers, merged, ['policy', nth]);
    return place === undefined ? error.message : `${place}: ${error.message}`;
  }

  entries(): Entry[] {
    return this.#entries.map(shownOf);
  }

  async reload(agent: Pick<Agent, 'reconfigure'>): Promise<Reloaded> {
    try {
      this.#layers = this.#read();
      return await this.#take(this.#layers, agent);
    } catch (error) {
      if (!(error instanceof KalosError || error instanceof PolicyError)) throw error;
      return {
        taken: false,
        lines: this.located(error)
          .split('\n')
          .map((line) => `the configuration is invalid; the old one stays active: ${line}`),
      };
    }
  }

  /** @throws KalosError or PolicyError; then nothing has changed */
  async #take(layers: readonly Layer[], agent: Pick<Agent, 'reconfigure'>): Promise<Reloaded> {
    const fresh = resolveConfig(layers);
    const entries = wholeEntriesOf(layers);
    // A key that is no longer set is a change too.
    const known = new Set([...Object.keys(this.#inForce), ...Object.keys(fresh)]) as Set<keyof Config>;
    const keys = [...known].filter((key) => !same(this.#inForce[key], fresh[key]));
    if (keys.length === 0) return { taken: true, lines: ['the configuration was reloaded: no changes'] };
    const isLive = (key: string): key is LiveKey => LIVE_KEYS.includes(key as LiveKey);
    const changesOf = (live: boolean): string[] =>
      keys.filter((key) => isLive(key) === live).flatMap((key) => differences(key, this.#entries, entries));
    const taken = changesOf(true).map((what) => `applied: ${what}`);
    const waiting = changesOf(false).map((what) => `needs a restart of the agent: ${what}`);
    const live = Object.fromEntries(LIVE_KEYS.map((key) => [key, fresh[key]])) as Pick<Config, LiveKey>;
    const config = { ...this.#inForce, ...live };
    if (taken.length > 0) await agent.reconfigure(agentSettings(config), noted(taken.join('; ')));
    this.#inForce = config;
    const waits = ({ key }: Entry): boolean => keys.some((one) => one === topOf(key) && !isLive(one));
    this.#entries = [...entries.filter((one) => !waits(one)), ...this.#entries.filter(waits)];
    return { taken: true, lines: [...taken, ...waiting] };
  }
}

const topOf = (key: string): string => key.split('.')[0] ?? '';
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** One line for each changed key below a top-level key: old → new; one line for an item that was added or removed. */
function differences(top: string, before: readonly WholeEntry[], after: readonly WholeEntry[]): string[] {
  const [old, fresh] = [before, after].map((entries) =>
    Map.groupBy(
      entries.filter(({ key }) => topOf(key) === top),
      ({ key }) => key,
    ),
  ) as [Map<string, WholeEntry[]>, Map<string, WholeEntry[]>];
  const itemOf = (key: string): string | undefined => (old.get(key) ?? fresh.get(key))?.[0]?.item;
  const itemsOf = (some: Map<string, WholeEntry[]>) => new Set([...some.keys()].map(itemOf));
  const [items, freshItems] = [itemsOf(old), itemsOf(fresh)];
  const lines = [...new Set([...old.keys(), ...fresh.keys()])].flatMap((key) => {
    const item = itemOf(key);
    if (item !== undefined && !items.has(item)) return [`${item} added`];
    if (item !== undefined && !freshItems.has(item)) return [`${item} removed`];
    const [one, other] = [old.get(key), fresh.get(key)];
    const values = (entries: WholeEntry[] | undefined): unknown[] | undefined => entries?.map(({ bare }) => bare);
    if (same(values(one), values(other))) return [];
    const [was, is] = [textOf(one), textOf(other)];
    return [was === is ? `${key}: changed (its value is not shown)` : `${key}: ${was} → ${is}`];
  });
  return lines.length === 0 ? [`${top}: order changed`] : [...new Set(lines)];
}

const noted = (text: string): string => (text.length > MAX_NOTED ? `${text.slice(0, MAX_NOTED)}…` : text);
const textOf = (entries: readonly WholeEntry[] | undefined): string =>
  entries === undefined ? 'unset' : entries.map(({ value }) => shortly(value)).join(', ');
const shownOf = ({ key, value, origin }: WholeEntry): Entry => ({ key, value, origin });
