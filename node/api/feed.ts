// What changes, as it changes: a few topics that an agent is looked at for, twice a second while somebody listens.
import { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import { wallMs } from './answers/units.ts';

export const TOPICS = ['members', 'conditions', 'incidents', 'decisions', 'actions'] as const;
export type Topic = (typeof TOPICS)[number];

export const feedEventSchema = z
  .strictObject({
    atMs: wallMs,
    topic: z.enum(TOPICS),
    subject: z.string().describe('What it is about'),
    text: z.string().describe('What of it is new; gone where it is no more'),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .meta({
    id: 'FeedEvent',
    examples: [{ atMs: 1_790_000_000_000, topic: 'members', subject: 'web-1', text: 'unreachable', data: { peer: '12D3KooW…' } }],
  });
export type FeedEvent = z.infer<typeof feedEventSchema>;

/** What is there, by name; each name's text is what must change for it to be news. */
type Seen = Map<string, { text: string; data: FeedEvent['data'] }>;

const STAGES = { decisions: ['vote', 'decide'], actions: ['act', 'verify', 'undo'] } as const;

function steps(agent: Agent, stages: readonly string[]): Seen {
  const seen: Seen = new Map();
  for (const { id, policy, target, nodeName, steps: all } of agent.parts.memory.incidents())
    all.forEach(({ stage, text, atMs }, index) => {
      if (stages.includes(stage))
        seen.set(`${id} ${index}`, { text, data: { incident: id, policy, target, node: nodeName, stage, atMs } });
    });
  return seen;
}

const READERS: Record<Topic, (agent: Agent) => Seen> = {
  members: (agent) =>
    new Map(agent.parts.membershipAdmin.members(false).map(({ name, state, peer }) => [name, { text: state, data: { peer } }])),
  conditions: (agent) =>
    new Map(Object.entries(agent.parts.watcher.conditions()).map(([name, status]) => [name, { text: status, data: {} }])),
  incidents: (agent) =>
    new Map(
      agent.parts.memory
        .incidents()
        .map(({ id, policy, target, nodeName, summary, state, outcome }) => [
          id,
          { text: outcome === '' ? state : outcome, data: { policy, target, node: nodeName, summary } },
        ]),
    ),
  decisions: (agent) => steps(agent, STAGES.decisions),
  actions: (agent) => steps(agent, STAGES.actions),
};

export class Feed {
  readonly #agent: Agent;
  readonly #topic: Topic;
  #seen: Seen;

  /** From what is so now: only what changes after is told. */
  constructor(agent: Agent, topic: Topic) {
    this.#agent = agent;
    this.#topic = topic;
    this.#seen = READERS[topic](agent);
  }

  /** What is new since the last look. */
  news(nowMs: number): FeedEvent[] {
    const now = READERS[this.#topic](this.#agent);
    const news: FeedEvent[] = [];
    for (const [subject, { text, data }] of now)
      if (this.#seen.get(subject)?.text !== text) news.push({ atMs: nowMs, topic: this.#topic, subject, text, data });
    for (const subject of this.#seen.keys())
      if (!now.has(subject)) news.push({ atMs: nowMs, topic: this.#topic, subject, text: 'gone', data: {} });
    this.#seen = now;
    return news;
  }
}
