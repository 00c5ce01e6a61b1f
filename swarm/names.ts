// The swarm's topics and protocol ids: built and parsed here only. All carry the swarm's id and a version,
// so that two swarms on one network never mix.
import { toHex, utf8 } from './dissemination/cbor.ts';
import type { Crypto } from './ports/crypto.ts';

export type ProtocolName = 'sync' | 'vote' | 'election' | 'table' | 'explain';

const VERSIONS: Record<ProtocolName, number> = { sync: 1, vote: 1, election: 1, table: 1, explain: 1 };
const SWARM_ID_HEX = 32;

export interface SwarmNames {
  /** 32 hex digits: the hash of the swarm's shared secret, until genesis records come. */
  swarmId: string;
  statusTopic: string;
  dhtProtocol: string;
  protocol(name: ProtocolName): string;
}

export function swarmIdOf(secret: string, hash: Crypto['hash']): string {
  return toHex(hash(utf8(`kalos/swarm/1\n${secret}`))).slice(0, SWARM_ID_HEX);
}

export function swarmNames(swarmId: string): SwarmNames {
  return {
    swarmId,
    statusTopic: `/kalos/${swarmId}/status/1`,
    dhtProtocol: `/kalos/${swarmId}/kad/1.0.0`,
    protocol: (name) => `/kalos/${swarmId}/${name}/${VERSIONS[name]}`,
  };
}
