// The swarm's topics and protocol ids: built and parsed here only. All carry the swarm's id and a version,
// so that two swarms on one network never mix.

export type ProtocolName =
  | 'sync'
  | 'probe'
  | 'renew'
  | 'twin'
  | 'token'
  | 'vote'
  | 'raft'
  | 'attest'
  | 'committee'
  | 'decisions'
  | 'table'
  | 'explain'
  | 'audit'
  | 'release';

const VERSIONS: Record<ProtocolName, number> = {
  sync: 3,
  probe: 1,
  renew: 1,
  twin: 1,
  token: 1,
  vote: 1,
  raft: 1,
  attest: 1,
  committee: 1,
  decisions: 1,
  table: 3,
  explain: 1,
  audit: 1,
  release: 1,
};

const TOPIC_ID_HEX = 12;

export interface SwarmNames {
  /** 32 hex digits: the hash of the swarm's genesis record. */
  swarmId: string;
  /** Statuses, farewells and observers' reports. */
  statusTopic: string;
  /** Certificates and revocations. */
  rosterTopic: string;
  dhtProtocol: string;
  protocol(name: ProtocolName): string;
}

export function swarmNames(swarmId: string): SwarmNames {
  // Every gossiped message carries its topic, so topics are short. No peer of another swarm is connected anyway.
  const short = swarmId.slice(0, TOPIC_ID_HEX);
  return {
    swarmId,
    statusTopic: `/kalos/${short}/s/1`,
    rosterTopic: `/kalos/${short}/r/1`,
    dhtProtocol: `/kalos/${swarmId}/kad/1.0.0`,
    protocol: (name) => `/kalos/${swarmId}/${name}/${VERSIONS[name]}`,
  };
}
