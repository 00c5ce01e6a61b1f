// The beginning of a new decision log, if no other member has one.
import type { Beginning } from '../../consensus/raft/durable-log.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';

/** With one voter: empty, by the founder of the swarm; or, in a recovery by root keys, with the state that was known before. */
export function beginningOf(id: NodeId, founding: Uint8Array): Beginning {
  const decoded = decodeCbor(founding);
  const [index, term, data] = Array.isArray(decoded) ? decoded : [];
  const isRecovery = typeof index === 'number' && typeof term === 'number' && data instanceof Uint8Array;
  return isRecovery ? { voters: [id], index, term, data } : { voters: [id] };
}
