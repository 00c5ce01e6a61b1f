// Answers queries in SQL and `explain`, from here and from other members; and stores the votes that this agent cast, which explain claims.
import type { Vote } from '../../consensus/vote/claim.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';
import type { QueryResult } from '../query/answer.ts';
import { type TableSources, tableSources } from '../query/catalogue/table.ts';
import { answerExplain, type ExplainResult, explain } from '../query/explain.ts';
import { answerTable } from '../query/gather.ts';
import { type QueryOptions, query } from '../query/query.ts';
import { type ReadParts, readsOf } from './reads.ts';

const MAX_OWN_VOTES = 1_024;

export class Queries {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #stories: ReadParts['stories'];
  readonly #ownVotes = new Map<string, Vote>();
  readonly sources: TableSources;

  constructor(ports: Ports, swarmId: string, parts: Omit<ReadParts, 'ports' | 'ownVotes'>) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#stories = parts.stories;
    this.sources = tableSources(readsOf({ ...parts, ports, ownVotes: this.#ownVotes }), ports.compute);
  }

  query(sql: string, options: QueryOptions): Promise<QueryResult> {
    return query(sql, options, this.sources, this.#ports.compute);
  }

  explain(id: string, asker: string): Promise<ExplainResult> {
    return explain(id, { reads: this.sources, crypto: this.#ports.crypto, swarmId: this.#swarmId, asker });
  }

  /** Answers another member. */
  answer(protocol: 'table' | 'explain', from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    return protocol === 'table'
      ? answerTable(from, body, this.sources)
      : answerExplain(from, body, this.sources, (peer, story) => this.#stories.keep(peer, story));
  }

  /** Stores a vote that this agent cast. */
  voted(vote: Vote): void {
    this.#ownVotes.set(vote.claimId, vote);
    if (this.#ownVotes.size > MAX_OWN_VOTES) this.#ownVotes.delete(this.#ownVotes.keys().next().value ?? '');
  }
}
