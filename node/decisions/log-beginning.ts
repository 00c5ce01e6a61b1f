// What the log of the swarm's decisions begins with where nobody else has it.
import type { Beginning } from '../../consensus/raft/durable-log.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';

/** Alone: with nothing, as who founded the swarm; or, by root keys, with what was known before. */
export function beginningOf(id: NodeId, founding: Uint8Array): Beginning {
  const decoded = decodeCbor(founding);
  const [index, term, data] = Array.isArray(decoded) ? decoded : [];
  const isAnew = typeof index === 'number' && typeof term === 'number' && data instanceof Uint8Array;
  return isAnew ? { voters: [id], index, term, data } : { voters: [id] };
}
