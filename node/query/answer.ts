// What a query is answered with.

import type { PeerId } from '../../swarm/ports/transport.ts';
import type { SqlValue } from '../ports/compute.ts';

export interface QueryAnswer {
  columns: string[];
  rows: SqlValue[][];
  /** `local`: from this peer's state alone; `live`: machines were asked now. */
  mode: 'local' | 'live';
  /** The newest term of the election that this peer knows. */
  epoch: number;
  /** The newest change of who belongs, and the newest decision, that it knows; 0 where it knows none. */
  rosterEpoch: number;
  index: number;
  expected: number;
  answered: number;
  missing: { node: string; peer: PeerId; reason: string }[];
  /** Whose rows were too many: only the first of them are there. */
  truncated: { node: string; table: string }[];
  /** Ms that the answer of each machine took: its rows are no older. */
  ages: Record<string, number>;
  tookMs: number;
}

export type QueryResult = { ok: true; answer: QueryAnswer } | { ok: false; message: string };
