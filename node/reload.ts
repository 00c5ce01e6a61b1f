// The configuration of a running agent, and how it is read again (SIGHUP, `kalos config reload`). What can change without a restart is
// applied; the rest is listed, and waits for a restart. A configuration with an error changes nothing.
import type { Agent } from './agent.ts';
import { agentSettings } from './config/agent-config.ts';
import { type Config, resolveConfig } from './config/config.ts';
import { entriesOf } from './config/entries.ts';
import { type Layer, nameOf } from './config/layers.ts';
import { PolicyError } from './detection/policy-detector.ts';
import { KalosError } from './errors.ts';

/** Keys that change without a restart. */
export const LIVE_KEYS = ['mode', 'maintenance', 'question', 'policy'] as const;
type LiveKey = (typeof LIVE_KEYS)[number];

export interface Reloaded {
  /** False: it has an error, and the old one stays in force. */
  taken: boolean;
  /** What changed, what needs a restart, or what is wrong. */
  lines: string[];
}

export class Configuration {
  readonly #read: () => Layer[];
  #layers: Layer[];
  #inForce: Config;

  /** @throws KalosError */
  constructor(read: () => Layer[]) {
    this.#read = read;
    this.#layers = read();
    this.#inForce = resolveConfig(this.#layers);
  }

  get inForce(): Config {
    return this.#inForce;
  }

  entries() {
    return entriesOf(this.#layers);
  }

  async reload(agent: Pick<Agent, 'reconfigure'>): Promise<Reloaded> {
    try {
      const layers = this.#read();
      const fresh = resolveConfig(layers);
      const changed = changesOf(this.#inForce, fresh);
      if (changed.length === 0) return { taken: true, lines: ['the configuration was read again: no changes'] };
      const isLive = ({ key }: Changed): boolean => LIVE_KEYS.includes(key as LiveKey);
      const live = Object.fromEntries(LIVE_KEYS.map((key) => [key, fresh[key]])) as Pick<Config, LiveKey>;
      const config = { ...this.#inForce, ...live };
      const lines = changed.filter(isLive).map(({ what }) => `in force: ${what}`);
      if (lines.length > 0) await agent.reconfigure(agentSettings(config), lines.join('; '));
      this.#inForce = config;
      this.#layers = layers.map(({ origin, document }) => ({ origin, document }));
      const waiting = changed.filter((one) => !isLive(one));
      return { taken: true, lines: [...lines, ...waiting.map(({ what }) => `needs a restart of the agent: ${what}`)] };
    } catch (error) {
      if (!(error instanceof KalosError || error instanceof PolicyError)) throw error;
      return {
        taken: false,
        lines: error.message.split('\n').map((line) => `the configuration is invalid, the old one stays in force: ${line}`),
      };
    }
  }
}

interface Changed {
  key: string;
  what: string;
}

function changesOf(before: Config, after: Config): Changed[] {
  // One that is set no more is a change too.
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof Config>;
  return [...keys].flatMap((key) => {
    const [old, fresh] = [before[key], after[key]];
    return same(old, fresh) ? [] : [{ key, what: difference(key, old, fresh) }];
  });
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function difference(key: string, before: unknown, after: unknown): string {
  const [old, fresh] = [namesIn(before), namesIn(after)];
  if (old === undefined || fresh === undefined) return `${key}: ${said(before)} → ${said(after)}`;
  const added = [...fresh.keys()].filter((name) => !old.has(name)).map((name) => `${name} added`);
  const removed = [...old.keys()].filter((name) => !fresh.has(name)).map((name) => `${name} removed`);
  const changed = [...fresh]
    .filter(([name, one]) => old.has(name) && !same(old.get(name), one))
    .map(([name]) => `${name} changed`);
  return `${key}: ${[...added, ...removed, ...changed].join(', ') || 'order changed'}`;
}

/** Of a list of tables. */
function namesIn(value: unknown): Map<string, unknown> | undefined {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'object')) return undefined;
  return new Map(value.map((item, i) => [nameOf(item) ?? `number ${i + 1}`, item]));
}

const said = (value: unknown): string => (value === undefined ? 'unset' : (JSON.stringify(value) ?? ''));
