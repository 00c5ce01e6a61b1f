// The stream of changes: a few topics of an agent, compared twice a second while a client listens.
import { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import { wallMs } from './answers/units.ts';

export const TOPICS = ['members', 'conditions', 'incidents', 'decisions', 'actions'] as const;
export type Topic = (typeof TOPICS)[number];

export const feedEventSchema = z
  .strictObject({
    atMs: wallMs,
    topic: z.enum(TOPICS),
    subject: z.string().describe('Subject of the event'),
    text: z.string().describe('The change; “gone” if the subject was removed'),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .meta({
    id: 'FeedEvent',
    examples: [{ atMs: 1_790_000_000_000, topic: 'members', subject: 'web-1', text: 'unreachable', data: { peer: '12D3KooW…' } }],
  });
export type FeedEvent = z.infer<typeof feedEventSchema>;

/** The subjects of a topic, by name. A change of a subject's text is an event. */
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

  /** Starts from the current state: only later changes are events. */
  constructor(agent: Agent, topic: Topic) {
    this.#agent = agent;
    this.#topic = topic;
    this.#seen = READERS[topic](agent);
  }

  /** The changes since the last call. */
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
