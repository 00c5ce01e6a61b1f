// The answer of a query.

import type { PeerId } from '../../swarm/ports/transport.ts';
import type { SqlValue } from '../ports/compute.ts';

export interface QueryAnswer {
  columns: string[];
  rows: SqlValue[][];
  /** `local`: only from this agent's state; `live`: machines were queried. */
  mode: 'local' | 'live';
  /** The newest election term that this agent knows. */
  epoch: number;
  /** The epoch of the roster, and the index of the newest decision, that this agent knows; 0 if none. */
  rosterEpoch: number;
  index: number;
  expected: number;
  answered: number;
  missing: { node: string; peer: PeerId; reason: string }[];
  /** Members with too many rows of a table: only the first rows are included. */
  truncated: { node: string; table: string }[];
  /** Ms that the answer of each machine took: the maximum age of its rows. */
  ages: Record<string, number>;
  tookMs: number;
}

export type QueryResult = { ok: true; answer: QueryAnswer } | { ok: false; message: string };
