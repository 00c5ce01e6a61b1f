// What is open on other machines, as they say.
import type { PeerId } from '../../swarm/ports/transport.ts';
import { TABLES } from './catalogue/catalogue.ts';
import type { TableSources } from './catalogue/table.ts';
import { gather } from './gather.ts';

const WITHIN_MS = 2_000;
const COLUMNS = ['id', 'node', 'target', 'policy', 'closed_ms'];

export interface OpenIncident {
  peer: PeerId;
  id: string;
  target: string;
  policy: string;
}

export async function openOn(peers: readonly PeerId[], sources: TableSources): Promise<OpenIncident[]> {
  const table = TABLES.find(({ name }) => name === 'incidents');
  if (table === undefined) return [];
  const request = { columns: COLUMNS, equal: new Map(), compare: [], reduction: undefined };
  const { data } = await gather([{ table, columns: COLUMNS, request, peers }], WITHIN_MS, sources);
  const byName = new Map(peers.map((peer) => [sources.link.nameOf(peer), peer]));
  return data.flatMap(({ rows }) =>
    rows.flatMap(([id, node, target, policy, closedMs]) => {
      const peer = byName.get(String(node));
      if (peer === undefined || closedMs !== null) return [];
      return [{ peer, id: String(id), target: String(target), policy: String(policy) }];
    }),
  );
}
