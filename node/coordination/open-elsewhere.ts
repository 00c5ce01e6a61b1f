// The open incidents of other machines, by a query to them.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Incident } from '../detection/incident.ts';
import { TABLES } from '../query/catalogue/catalogue.ts';
import type { TableSources } from '../query/catalogue/table.ts';
import { gather } from '../query/gather.ts';
import { GRAY_POLICY } from './gray.ts';
import { type OpenElsewhere, TOGETHER_POLICY } from './nova.ts';

const OPEN_WITHIN_MS = 2_000;

/** The name of the asker in the query. */
const OF_SWARM = 'the swarm';

/** Not an incident of the swarm as a whole. */
export const isOfMachine = ({ policy }: Pick<Incident, 'policy'>): boolean =>
  policy !== TOGETHER_POLICY && policy !== GRAY_POLICY;

export async function openOn(peers: readonly PeerId[], sources: TableSources): Promise<OpenElsewhere[]> {
  const columns = ['id', 'node', 'target', 'policy', 'closed_ms'];
  const request = { columns, equal: new Map(), compare: [], reduction: undefined };
  const table = TABLES.find(({ name }) => name === 'incidents');
  if (table === undefined) return [];
  const { data } = await gather([{ table, columns, request, peers }], OPEN_WITHIN_MS, sources, OF_SWARM);
  const byName = new Map(peers.map((peer) => [sources.swarm.nameOf(peer), peer]));
  return data.flatMap(({ rows }) =>
    rows.flatMap(([id, node, target, policy, closedMs]) => {
      const peer = byName.get(String(node));
      const isOpen = closedMs === null && isOfMachine({ policy: String(policy) });
      return peer === undefined || !isOpen ? [] : [{ peer, id: String(id), target: String(target) }];
    }),
  );
}
