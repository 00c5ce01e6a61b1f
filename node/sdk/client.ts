// `kalos/client`: the API of an agent as a library, with the types that the agent itself uses. docs/API.md has an example.

import type { AgentStatus } from '../agent/agent-status.ts';
import { callAgent, callForAll, follow, pagesOf, type Whom } from '../api/client.ts';
import type { FeedEvent, Topic } from '../api/feed.ts';
import type { ActAnswer } from '../api/routes.ts';
import type { Incident } from '../detection/incident.ts';
import type { PolicyInput } from '../detection/policy.ts';
import { KalosError } from '../errors.ts';
import type { MemberRow } from '../link/membership-admin.ts';
import type { Case } from '../memory/cases.ts';
import type { QueryAnswer } from '../query/answer.ts';
import type { Table } from '../query/catalogue/table.ts';
import type { Explanation } from '../query/explain.ts';
import type { Question } from '../query/pack.ts';
import type { QueryOptions } from '../query/query.ts';
import type { Recording } from '../telemetry/flight-recorder.ts';
import type { Past } from '../telemetry/history.ts';
import type { ToolCall } from '../tool-call.ts';

export type {
  ActAnswer,
  AgentStatus,
  Case,
  Explanation,
  FeedEvent,
  Incident,
  MemberRow,
  Past,
  PolicyInput,
  QueryAnswer,
  QueryOptions,
  Question,
  Recording,
  ToolCall,
  Topic,
};
export { KalosError };

/**
 * Which agent to call, and with which rights. `directory`: an agent of this machine, over its Unix socket (for its owner and root; no
 * token). `address`: an agent over HTTP. Without both: KALOS_ADDRESS with KALOS_API_TOKEN and KALOS_CA, else KALOS_DIR, else the user's
 * default directory.
 */
export interface ClientOptions {
  /** The agent's state directory, such as /var/lib/kalos. */
  directory?: string;
  /** Such as https://web-1:9090, or http://127.0.0.1:9090. A token needs https, except on loopback. */
  address?: string;
  /** From `kalos api-token create`. Without one, on loopback: what every user of the machine may read. */
  token?: string;
  /** A PEM file with the CA certificate, or the agent's own, if the system does not trust it. */
  ca?: string;
}

function whomOf({ directory, address, token, ca }: ClientOptions): Whom {
  if (directory !== undefined && address !== undefined)
    throw new KalosError('usage', `both directory ${directory} and address ${address} are given`, 'give only one');
  return address === undefined ? directory : { address, token, ca };
}

/**
 * One agent. Every method throws KalosError with a `code`:
 * - `not-running`: no agent answers;
 * - `refused`: the scope of the token is not enough (401, 403);
 * - `not-found` (404);
 * - `usage`: an argument is invalid (400), or the action is not possible in this state (409);
 * - `no-quorum`: the swarm cannot decide now;
 * - `io`: the agent is busy (429, 503), or the connection failed.
 * The message is one line and says what to do.
 *
 * Moments are milliseconds of the wall clock since 1970 (`…Ms`), durations milliseconds, sizes bytes, shares 0 to 1, pressure in percent.
 */
export class KalosClient {
  readonly #whom: Whom;

  /** Each call opens its own connection. @throws KalosError `usage` */
  constructor(options: ClientOptions = {}) {
    this.#whom = whomOf(options);
  }

  #get<Answer>(path: string): Promise<Answer> {
    return callAgent<Answer>(this.#whom, 'GET', path);
  }

  #post<Answer>(path: string, body: unknown = {}): Promise<Answer> {
    return callAgent<Answer>(this.#whom, 'POST', path, body);
  }

  /** The agent itself: its conditions, services, open incidents, pending approvals. */
  status(): Promise<AgentStatus> {
    return this.#get('/v1/status');
  }

  /**
   * Runs SQL over the whole swarm. `rows` has the values in the order of `columns`; `missing` has the members that did not answer in time,
   * and why.
   * @param options `timeoutMs` for the machines (5,000; at most 60,000), `mode` `live` or `local`, `nodes` such as `web-*` or `role=member`.
   */
  query(sql: string, options: Partial<Omit<QueryOptions, 'isTrusted' | 'asker'>> = {}): Promise<QueryAnswer> {
    return this.#post('/v1/query', { sql, ...options });
  }

  /** The SQL tables, and what their columns mean. */
  tables(): Promise<Pick<Table, 'name' | 'scope' | 'description' | 'columns' | 'examples' | 'needs'>[]> {
    return this.#get('/v1/tables');
  }

  /** The prepared queries. */
  questions(): Promise<Question[]> {
    return this.#get('/v1/questions');
  }

  /** The members and their state, as seen from this agent. */
  members(): Promise<MemberRow[]> {
    return callForAll(this.#whom, '/v1/members');
  }

  /** Creates a join token: scope `admin`, on an issuer. @param options defaults: `ttlMs` 600,000, `uses` 1 */
  async createToken(options: { role?: 'member' | 'committee'; ttlMs?: number; uses?: number } = {}): Promise<string> {
    return (await this.#post<{ token: string }>('/v1/tokens', options)).token;
  }

  /**
   * Streams the changes of a topic from now on. Resolves when the agent disconnects, or on the signal.
   * @param heard called for each change: `subject` is its object, `text` the new state (`gone` if it no longer exists).
   */
  watch(topic: Topic, heard: (event: FeedEvent) => void, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return follow(this.#whom, `/v1/watch/${encodeURIComponent(topic)}`, (data) => heard(data as FeedEvent), signal);
  }

  /** All incidents that this agent knows, oldest first; an open one has `closedMs` 0 and an empty `outcome`. */
  incidents(): Promise<Incident[]> {
    return callForAll(this.#whom, '/v1/incidents');
  }

  /** The same in pages. @param limit of a page, 1 to 1,000 */
  incidentPages(limit?: number): AsyncGenerator<Incident[], void, void> {
    return pagesOf(this.#whom, '/v1/incidents', limit);
  }

  /** An incident of any member, from sample to outcome; its certificate is checked. */
  explain(id: string): Promise<Explanation> {
    return this.#get(`/v1/incidents/${encodeURIComponent(id)}/explanation`);
  }

  /** The minute before an incident of this machine: every metric, and the processes with the most CPU and memory. */
  recording(id: string): Promise<Recording> {
    return this.#get(`/v1/incidents/${encodeURIComponent(id)}/recording`);
  }

  /** Past repairs, and whether they helped, oldest first. */
  cases(): Promise<Case[]> {
    return callForAll(this.#whom, '/v1/cases');
  }

  /** The names of all series. */
  series(): Promise<string[]> {
    return callForAll(this.#whom, '/v1/series');
  }

  /** Past values of a series: `fine` ten minutes by the second, `coarse` six hours by the minute; oldest first, null if unknown. */
  past(series: string): Promise<{ fine: Past; coarse?: { mean: Past; most: Past } }> {
    return this.#get(`/v1/series/${encodeURIComponent(series)}`);
  }

  /** Adds or replaces live policies, atomically. @returns their names. */
  async applyPolicies(policies: readonly PolicyInput[]): Promise<string[]> {
    return (await this.#post<{ applied: string[] }>('/v1/policies', { policies })).applied;
  }

  /** Deletes a live policy. */
  async removePolicy(name: string): Promise<void> {
    await this.#post(`/v1/policies/${encodeURIComponent(name)}/removal`);
  }

  /**
   * Executes a plan, guarded and audited as any other; with `dryRun`, only says what it would change. Scope `operate`.
   * @param calls `{ tool: 'service.restart', service: 'web' }`, in order
   * @returns `result`: confirmed, undone or failed; read; dry-run; or the reason why it was not executed
   */
  act(calls: readonly ToolCall[], { reason, dryRun = false }: { reason: string; dryRun?: boolean }): Promise<ActAnswer> {
    return this.#post('/v1/actions', { calls, reason, dryRun });
  }

  /** Undoes a confirmed plan. */
  rollback(plan: string): Promise<ActAnswer> {
    return this.#post(`/v1/actions/${encodeURIComponent(plan)}/rollback`);
  }

  /** Approves a pending plan: scope `operate`. */
  async approve(plan: string): Promise<void> {
    await this.#post(`/v1/approvals/${encodeURIComponent(plan)}`, { answer: 'approved' });
  }

  /** Rejects a pending plan. */
  async reject(plan: string): Promise<void> {
    await this.#post(`/v1/approvals/${encodeURIComponent(plan)}`, { answer: 'rejected' });
  }

  /** The kill switch: stops all actions, also after a restart. */
  async stopAll(reason: string): Promise<void> {
    await this.#post('/v1/halt', { reason });
  }

  /** Allows actions again. */
  async resume(): Promise<void> {
    await this.#post('/v1/resume');
  }
}
