// `kalos/client`: the local API of an agent as a library. One class, typed by what the agent itself answers with.

import type { MemberRow } from '../agent/roll.ts';
import type { AgentStatus } from '../agent.ts';
import { callAgent, follow } from '../api/client.ts';
import type { FeedEvent, Topic } from '../api/feed.ts';
import type { ActAnswer } from '../api/routes.ts';
import type { Incident } from '../detection/incident.ts';
import type { PolicyInput } from '../detection/policy.ts';
import type { Case } from '../memory/cases.ts';
import type { Table } from '../query/catalogue/table.ts';
import type { Explanation } from '../query/explain.ts';
import type { Question } from '../query/pack.ts';
import type { QueryAnswer, QueryOptions } from '../query/query.ts';
import type { Recording } from '../telemetry/flight-recorder.ts';
import type { Past } from '../telemetry/history.ts';
import type { ToolCall } from '../tool-call.ts';

export { KalosError } from '../errors.ts';
export type {
  ActAnswer,
  AgentStatus,
  Case,
  Explanation,
  Incident,
  Past,
  PolicyInput,
  QueryAnswer,
  QueryOptions,
  Recording,
  ToolCall,
};

export interface ClientOptions {
  /** The agent's state directory; KALOS_DIR, or the user's default, where it is not given. */
  directory?: string;
}

/** Every method throws KalosError: `not-running` where no agent answers, else with what the agent says is wrong. */
export class KalosClient {
  readonly #directory: string | undefined;

  constructor({ directory }: ClientOptions = {}) {
    this.#directory = directory;
  }

  #get<Answer>(path: string): Promise<Answer> {
    return callAgent<Answer>(this.#directory, 'GET', path);
  }

  #post<Answer>(path: string, body: unknown = {}): Promise<Answer> {
    return callAgent<Answer>(this.#directory, 'POST', path, body);
  }

  status(): Promise<AgentStatus> {
    return this.#get('/v1/status');
  }

  /** SQL over the whole swarm; `missing` names who did not answer in time. */
  query(sql: string, options: Partial<Omit<QueryOptions, 'isTrusted' | 'asker'>> = {}): Promise<QueryAnswer> {
    return this.#post('/v1/query', { sql, ...options });
  }

  /** The tables that SQL can ask, with what their columns mean. */
  tables(): Promise<Pick<Table, 'name' | 'scope' | 'description' | 'columns' | 'examples' | 'needs'>[]> {
    return this.#get('/v1/tables');
  }

  /** Questions that operators ask, as SQL. */
  questions(): Promise<Question[]> {
    return this.#get('/v1/questions');
  }

  /** The members, and how each is seen from there. */
  members(): Promise<MemberRow[]> {
    return this.#get('/v1/members');
  }

  /** A token that lets machines join. */
  async createToken(options: { role?: 'member' | 'committee'; ttlMs?: number; uses?: number } = {}): Promise<string> {
    return (await this.#post<{ token: string }>('/v1/tokens', options)).token;
  }

  /** What changes of a topic, as it changes, until the agent has gone. */
  watch(topic: Topic, heard: (event: FeedEvent) => void): Promise<void> {
    return follow(this.#directory, `/v1/watch/${topic}`, (data) => heard(data as FeedEvent));
  }

  /** Those that this agent remembers, oldest first. */
  incidents(): Promise<Incident[]> {
    return this.#get('/v1/incidents');
  }

  /** An incident of any member, from sample to outcome, its certificate checked. */
  explain(id: string): Promise<Explanation> {
    return this.#get(`/v1/incidents/${encodeURIComponent(id)}/explanation`);
  }

  /** The minute before an incident of this machine. */
  recording(id: string): Promise<Recording> {
    return this.#get(`/v1/incidents/${encodeURIComponent(id)}/recording`);
  }

  cases(): Promise<Case[]> {
    return this.#get('/v1/cases');
  }

  series(): Promise<string[]> {
    return this.#get('/v1/series');
  }

  past(series: string): Promise<{ fine: Past; coarse?: { mean: Past; most: Past } }> {
    return this.#get(`/v1/series/${encodeURIComponent(series)}`);
  }

  /** Adds or replaces live policies: all of them, or none. @returns their names. */
  async applyPolicies(policies: readonly PolicyInput[]): Promise<string[]> {
    return (await this.#post<{ applied: string[] }>('/v1/policies', { policies })).applied;
  }

  async removePolicy(name: string): Promise<void> {
    await this.#post(`/v1/policies/${encodeURIComponent(name)}/removal`);
  }

  /** Carries out a plan, guarded and audited as any other, or with `dryRun` says what it would change. */
  act(calls: readonly ToolCall[], { reason, dryRun = false }: { reason: string; dryRun?: boolean }): Promise<ActAnswer> {
    return this.#post('/v1/actions', { calls, reason, dryRun });
  }

  /** Undoes what was confirmed under a plan's id. */
  rollback(plan: string): Promise<ActAnswer> {
    return this.#post(`/v1/actions/${encodeURIComponent(plan)}/rollback`);
  }

  async approve(plan: string): Promise<void> {
    await this.#post(`/v1/approvals/${encodeURIComponent(plan)}`, { answer: 'approved' });
  }

  async reject(plan: string): Promise<void> {
    await this.#post(`/v1/approvals/${encodeURIComponent(plan)}`, { answer: 'rejected' });
  }

  /** The kill switch: nothing is done from now on, also after a restart. */
  async stopAll(reason: string): Promise<void> {
    await this.#post('/v1/halt', { reason });
  }

  async resume(): Promise<void> {
    await this.#post('/v1/resume');
  }
}
