// `kalos/client`: the API of an agent as a library, typed by what the agent itself answers with. docs/API.md has an example.

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
 * Which agent is asked, and as whom: that of a state directory on this machine, over its Unix socket (its owner and root; no token); or one at an
 * address over HTTP. Without both: KALOS_ADDRESS with KALOS_API_TOKEN and KALOS_CA, else KALOS_DIR, else the user's default directory.
 */
export interface ClientOptions {
  /** The agent's state directory, such as /var/lib/kalos. */
  directory?: string;
  /** Such as https://web-1:9090, or http://127.0.0.1:9090. A token goes over https alone, but for loopback. */
  address?: string;
  /** Of `kalos api-token create`. Without one, on loopback: what every user of the machine may see. */
  token?: string;
  /** A file of certificates in PEM, where the agent's is signed by nobody known. */
  ca?: string;
}

function whomOf({ directory, address, token, ca }: ClientOptions): Whom {
  if (directory !== undefined && address !== undefined)
    throw new KalosError('usage', `both directory ${directory} and address ${address} are given`, 'give one of them');
  return address === undefined ? directory : { address, token, ca };
}

/**
 * One agent. Every method throws KalosError with `code`: `not-running` where no agent answers; `refused` where the token does not reach so far (401,
 * 403); `not-found` (404); `usage` where what was given is wrong (400), or it cannot be done as things are (409); `no-quorum` where the swarm cannot
 * decide now; `io` where the agent cannot now (429, 503), or the connection broke. The message is one line and says what to do.
 *
 * Moments are milliseconds of the wall clock since 1970 (`…Ms`), durations milliseconds, sizes bytes, shares 0 to 1, pressure in percent.
 */
export class KalosClient {
  readonly #whom: Whom;

  /** Connects with each call, and holds nothing open. @throws KalosError `usage` */
  constructor(options: ClientOptions = {}) {
    this.#whom = whomOf(options);
  }

  #get<Answer>(path: string): Promise<Answer> {
    return callAgent<Answer>(this.#whom, 'GET', path);
  }

  #post<Answer>(path: string, body: unknown = {}): Promise<Answer> {
    return callAgent<Answer>(this.#whom, 'POST', path, body);
  }

  /** The agent itself: its conditions, services, open incidents, what waits for approval. */
  status(): Promise<AgentStatus> {
    return this.#get('/v1/status');
  }

  /**
   * SQL over the whole swarm. `columns` and `rows` side by side; `missing` names who did not answer in time, and why.
   * @param options `timeoutMs` for the machines (5,000; at most 60,000), `mode` `live` or `local`, `nodes` such as `web-*` or `role=member`.
   */
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
    return callForAll(this.#whom, '/v1/members');
  }

  /** A token that lets machines join: scope `admin`, on an issuer. @param options `ttlMs` 600,000 and `uses` 1 where they are not given */
  async createToken(options: { role?: 'member' | 'committee'; ttlMs?: number; uses?: number } = {}): Promise<string> {
    return (await this.#post<{ token: string }>('/v1/tokens', options)).token;
  }

  /**
   * What changes of a topic from now on, as it changes. Resolves when the agent has gone, or the signal says so.
   * @param heard each change: `subject` is what it is about, `text` what of it is new (`gone` where it is no more).
   */
  watch(topic: Topic, heard: (event: FeedEvent) => void, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return follow(this.#whom, `/v1/watch/${encodeURIComponent(topic)}`, (data) => heard(data as FeedEvent), signal);
  }

  /** All those that this agent remembers, oldest first; `closedMs` is 0 and `outcome` empty while one is open. */
  incidents(): Promise<Incident[]> {
    return callForAll(this.#whom, '/v1/incidents');
  }

  /** The same in pages, for who does not want all at once. @param limit of a page, 1 to 1,000 */
  incidentPages(limit?: number): AsyncGenerator<Incident[], void, void> {
    return pagesOf(this.#whom, '/v1/incidents', limit);
  }

  /** An incident of any member, from sample to outcome, its certificate checked. */
  explain(id: string): Promise<Explanation> {
    return this.#get(`/v1/incidents/${encodeURIComponent(id)}/explanation`);
  }

  /** The minute before an incident of this machine: every metric, and the processes with the most CPU and memory. */
  recording(id: string): Promise<Recording> {
    return this.#get(`/v1/incidents/${encodeURIComponent(id)}/recording`);
  }

  /** What was tried, and whether it helped, oldest first. */
  cases(): Promise<Case[]> {
    return callForAll(this.#whom, '/v1/cases');
  }

  /** The names of all series. */
  series(): Promise<string[]> {
    return callForAll(this.#whom, '/v1/series');
  }

  /** What a series was: `fine` ten minutes by the second, `coarse` six hours by the minute; oldest first, null where nothing is known. */
  past(series: string): Promise<{ fine: Past; coarse?: { mean: Past; most: Past } }> {
    return this.#get(`/v1/series/${encodeURIComponent(series)}`);
  }

  /** Adds or replaces live policies: all of them, or none. @returns their names. */
  async applyPolicies(policies: readonly PolicyInput[]): Promise<string[]> {
    return (await this.#post<{ applied: string[] }>('/v1/policies', { policies })).applied;
  }

  /** Takes a live policy away. */
  async removePolicy(name: string): Promise<void> {
    await this.#post(`/v1/policies/${encodeURIComponent(name)}/removal`);
  }

  /**
   * Carries out a plan, guarded and audited as any other, or with `dryRun` says what it would change: scope `operate`.
   * @param calls `{ tool: 'service.restart', service: 'web' }`, in order @returns `result`: confirmed, undone or failed; read; dry-run; or what held it back
   */
  act(calls: readonly ToolCall[], { reason, dryRun = false }: { reason: string; dryRun?: boolean }): Promise<ActAnswer> {
    return this.#post('/v1/actions', { calls, reason, dryRun });
  }

  /** Undoes what was confirmed under a plan's id. */
  rollback(plan: string): Promise<ActAnswer> {
    return this.#post(`/v1/actions/${encodeURIComponent(plan)}/rollback`);
  }

  /** Has a plan that waits be carried out: scope `operate`. */
  async approve(plan: string): Promise<void> {
    await this.#post(`/v1/approvals/${encodeURIComponent(plan)}`, { answer: 'approved' });
  }

  /** Has it not be carried out. */
  async reject(plan: string): Promise<void> {
    await this.#post(`/v1/approvals/${encodeURIComponent(plan)}`, { answer: 'rejected' });
  }

  /** The kill switch: nothing is done from now on, also after a restart. */
  async stopAll(reason: string): Promise<void> {
    await this.#post('/v1/halt', { reason });
  }

  /** Allows acting again. */
  async resume(): Promise<void> {
    await this.#post('/v1/resume');
  }
}
