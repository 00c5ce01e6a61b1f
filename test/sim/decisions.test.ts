// Decisions in a simulated swarm: all know them soon, none is lost or taken twice though coordinators die, a minority decides nothing,
// who restarts knows at once, and who is paused keeps still.
import { describe, expect, it, vi } from 'vitest';
import { Attestations } from '../../consensus/decisions/checkpoint.ts';
import { type Decision, type Wish, wished } from '../../consensus/decisions/decision.ts';
import { DecisionState, type Outcome } from '../../consensus/decisions/state.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { LEASE_MS } from '../../node/decisions/reads.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const SETTLED_MS = 20_000;
const WITHIN_MS = 10_000;

async function settled(nodes: number, seed = 1): Promise<Cluster> {
  const cluster = Cluster.of({ nodes, seed, protocolsOnly: true });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const decisionsOf = (node: SimulatedNode) => {
  const decisions = node.running?.swarm.consensus.decisions;
  if (decisions === undefined) throw new Error(`${node.name} does not run`);
  return decisions;
};

/** What comes of a wish, once there is time. */
function wish(node: SimulatedNode, what: Wish, withinMs = WITHIN_MS): { outcome?: Outcome; error?: unknown } {
  const result: { outcome?: Outcome; error?: unknown } = {};
  decisionsOf(node)
    .decide(what, withinMs)
    .then(
      (outcome) => {
        result.outcome = outcome;
      },
      (error: unknown) => {
        result.error = error;
      },
    );
  return result;
}

const pause = (node: SimulatedNode): Wish => ({ kind: 'pause', peer: node.peer, reason: 'being moved' });
const indexes = (cluster: Cluster): number[] =>
  cluster.running().map(({ running }) => running.swarm.consensus.decisions.state.index);
const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);

describe('a decision', () => {
  it.each([3, 12, 60])('is known to all %i within five seconds, in the committee and out of it', async (nodes) => {
    const cluster = await settled(nodes);
    const result = wish(cluster.node(0), pause(cluster.node(2)));
    await later(cluster, 5_000);
    expect(result.outcome?.ok).toBe(true);
    for (const { node, running } of cluster.running())
      expect(running.swarm.consensus.decisions.state.pauseOf(cluster.node(2).peer)?.reason, node.name).toBe('being moved');
    expect(new Set(indexes(cluster)).size).toBe(1);
    // The same, byte by byte.
    const states = cluster
      .running()
      .map(({ running }) => Buffer.from(running.swarm.consensus.decisions.state.encode()).toString('hex'));
    expect(new Set(states).size).toBe(1);
  });

  it('is not anybody’s to make: only an issuer decides about others', async () => {
    const cluster = await settled(5);
    const refused = wish(cluster.node(3), pause(cluster.node(1)));
    await later(cluster, 3_000);
    expect(refused.outcome).toMatchObject({ ok: false, reason: expect.stringContaining('not an issuer') });
    expect(decisionsOf(cluster.node(1)).state.pauseOf(cluster.node(1).peer)).toBeUndefined();
  });

  it('is neither lost nor taken twice where coordinators die in the middle', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = await settled(7, seed);
      const results: { outcome?: Outcome; error?: unknown }[] = [];
      for (let turn = 0; turn < 12; turn++) {
        const lead = cluster.byPeer(cluster.running()[0]?.running.swarm.consensus.committee.coordinator ?? '');
        results.push(
          wish(
            cluster.node(0),
            { kind: 'silence', policy: `policy-${turn}`, target: null, untilMs: 9e12, reason: 'test' },
            30_000,
          ),
        );
        // In the middle of it, and the one who wishes it stays.
        await later(cluster, turn % 4);
        if (lead !== undefined && lead !== cluster.node(0) && turn % 3 === 0) {
          lead.crash();
          cluster.scheduler.after(3_000, () => lead.boot());
        }
        await later(cluster, 2_500);
      }
      await later(cluster, 30_000);
      expect(
        results.filter(({ outcome }) => outcome?.ok !== true),
        `seed ${seed}`,
      ).toEqual([]);
      for (const { node, running } of cluster.running()) {
        const taken = running.swarm.consensus.decisions.state.recent().filter(({ decision }) => decision.kind === 'silence');
        const named = taken.map(({ decision }) => (decision.kind === 'silence' ? decision.policy : ''));
        expect(named.length, `seed ${seed}: ${node.name}`).toBe(12);
        expect(new Set(named).size).toBe(12);
      }
    }
  });

  it('is not made by a minority, which says so, and still knows what was decided before', async () => {
    const cluster = await settled(5);
    const before = wish(cluster.node(0), pause(cluster.node(4)));
    await later(cluster, 3_000);
    expect(before.outcome?.ok).toBe(true);
    const minority = [cluster.node(0).peer, cluster.node(1).peer];
    const voters = decisionsOf(cluster.node(0)).checkpoints.newest?.voters ?? [];
    // The issuer on a side without a majority of the voters.
    const side = voters.filter((peer) => minority.includes(peer)).length * 2 < voters.length ? minority : [cluster.node(0).peer];
    cluster.network.partition([side, cluster.nodes.map(({ peer }) => peer).filter((peer) => !side.includes(peer))]);
    await later(cluster, 15_000);
    const result = wish(cluster.node(0), pause(cluster.node(3)));
    let read: unknown;
    decisionsOf(cluster.node(0))
      .reads.read('linearizable', 5_000)
      .catch((error: unknown) => {
        read = error;
      });
    await later(cluster, 15_000);
    expect(result.error).toBeInstanceOf(LogUnavailable);
    expect(read).toBeInstanceOf(LogUnavailable);
    expect(decisionsOf(cluster.node(0)).state.pauseOf(cluster.node(4).peer)?.reason).toBe('being moved');
    cluster.network.heal();
    await later(cluster, 20_000);
    expect(new Set(indexes(cluster)).size).toBe(1);
  });

  it('is known at once after a restart, before anybody is asked; and a linearizable read sees what a local one does not yet', async () => {
    const cluster = await settled(12);
    wish(cluster.node(0), pause(cluster.node(5)));
    await later(cluster, 4_000);
    for (const node of cluster.nodes.slice(1)) {
      node.crash();
      cluster.network.power(node.peer, false);
    }
    const alone = cluster.node(9);
    cluster.network.power(alone.peer, true);
    alone.boot();
    await later(cluster, 2_000);
    expect(decisionsOf(alone).state.pauseOf(cluster.node(5).peer)?.reason).toBe('being moved');
  });

  it('of a moment ago is in a linearizable read on any member', async () => {
    const cluster = await settled(20);
    for (let turn = 0; turn < 10; turn++) {
      const made = wish(cluster.node(0), {
        kind: 'silence',
        policy: `policy-${turn}`,
        target: null,
        untilMs: 9e12,
        reason: 'test',
      });
      while (made.outcome === undefined && made.error === undefined) await later(cluster, 1);
      const reader = cluster.node(1 + ((turn * 7) % 19));
      let seen: boolean | undefined;
      decisionsOf(reader)
        .reads.read('linearizable', 5_000)
        .then(
          (state) => {
            seen = state.silenceOn(`policy-${turn}`, 'any', 0) !== undefined;
          },
          () => undefined,
        );
      await later(cluster, 5_000);
      expect(seen, `turn ${turn} at ${reader.name}`).toBe(true);
    }
  });
});

describe('who belongs', () => {
  const epochsIn = (cluster: Cluster) =>
    new Set(
      cluster.running().map(({ running }) => {
        const { newest } = running.swarm.consensus.decisions.state.epochs;
        const own = running.swarm.admission.roster.digest();
        return newest === null
          ? 'none'
          : `${newest.epoch} of ${newest.members} ${own.every((byte, nth) => byte === newest.digest[nth])}`;
      }),
    );

  it('changes in one order for all, once for each change, whoever coordinates', async () => {
    const cluster = await settled(7);
    await later(cluster, 10_000);
    expect([...epochsIn(cluster)]).toEqual(['1 of 7 true']);
    void cluster.node(0).running?.swarm.admission.issuer.revoke(cluster.node(5).peer, 'stolen');
    await later(cluster, 2_000);
    cluster.node(5).crash();
    await later(cluster, 15_000);
    expect([...epochsIn(cluster)]).toEqual(['2 of 6 true']);
    const nova = cluster.byPeer(cluster.node(0).running?.swarm.consensus.committee.coordinator ?? '') as SimulatedNode;
    nova.crash();
    await later(cluster, 20_000);
    expect([...epochsIn(cluster)]).toEqual(['2 of 6 true']);
  });

  it('is not in the log while a member runs a version that does not know that', async () => {
    const cluster = Cluster.of({ nodes: 5, seed: 1, protocolsOnly: true });
    cluster.node(3).profile.version = '0.2.9';
    cluster.start();
    await cluster.runUntil(40_000);
    expect([...epochsIn(cluster)]).toEqual(['none']);
  });
});

describe('a read by lease', () => {
  it('is no older than a second, asks the coordinator once in that time, and fails where a linearizable one would', async () => {
    const cluster = await settled(9);
    const reader = cluster.node(7);
    const asked: string[] = [];
    let reads = 0;
    const look = (mode: 'lease' | 'linearizable'): void => {
      decisionsOf(reader)
        .reads.read(mode, 3_000)
        .then(
          () => reads++,
          () => asked.push('failed'),
        );
    };
    const nova = cluster.byPeer(cluster.node(0).running?.swarm.consensus.committee.coordinator ?? '') as SimulatedNode;
    const answers = vi.spyOn(decisionsOf(nova), 'answer');
    for (let turn = 0; turn < 50; turn++) {
      look('lease');
      await later(cluster, 100);
    }
    expect([reads, asked]).toEqual([50, []]);
    const ofReader = answers.mock.calls.filter(([from]) => from === reader.peer).length;
    expect([ofReader >= 4, ofReader <= 6, reader === nova]).toEqual([true, true, false]);
    for (let turn = 0; turn < 10; turn++) {
      look('lease');
      const made = wish(cluster.node(0), { kind: 'silence', policy: `p-${turn}`, target: null, untilMs: 9e12, reason: 'test' });
      while (made.outcome === undefined && made.error === undefined) await later(cluster, 1);
      await later(cluster, LEASE_MS + 1);
      let seen: boolean | undefined;
      decisionsOf(reader)
        .reads.read('lease', 3_000)
        .then(
          (state) => {
            seen = state.silenceOn(`p-${turn}`, 'any', 0) !== undefined;
          },
          () => undefined,
        );
      await later(cluster, 3_000);
      expect(seen, `turn ${turn}`).toBe(true);
    }
    cluster.network.partition([[reader.peer], cluster.nodes.map(({ peer }) => peer).filter((peer) => peer !== reader.peer)]);
    await later(cluster, LEASE_MS + 1);
    look('lease');
    await later(cluster, 10_000);
    expect(asked).toEqual(['failed']);
  });
});

describe('a silence', () => {
  it('lasts as long as it was wished for, and ends no other one, whatever the clock of whoever wished it says', async () => {
    const cluster = await settled(3);
    const issuer = cluster.node(0);
    const lead = cluster.byPeer(issuer.running?.swarm.consensus.committee.coordinator ?? '') as SimulatedNode;
    const nowMs = () => decisionsOf(lead).wallMs();
    const ask = async (digit: string, target: string, aheadMs: number, forMs: number): Promise<void> => {
      const atMs = Math.round(nowMs() + aheadMs);
      const silence: Wish = { kind: 'silence', policy: null, target, untilMs: atMs + forMs, reason: 'test' };
      const asked = decisionsOf(lead).answer(
        issuer.peer,
        encodeCbor(['propose', wished(silence, issuer.peer, digit.repeat(32), atMs)]),
      );
      await later(cluster, 3_000);
      expect((decodeCbor(await asked) as unknown[])[0]).toBe(true);
    };
    await ask('a', 'api', 0, 600_000);
    await ask('b', 'web', 7_200_000, 60_000);
    await ask('c', 'db', -7_200_000, 60_000);
    const silenced = () =>
      decisionsOf(lead)
        .state.silences(nowMs())
        .map(({ target }) => target);
    expect(silenced()).toEqual(['api', 'web', 'db']);
    await later(cluster, 70_000);
    expect(silenced()).toEqual(['api']);
  });
});

describe('who does not keep to the rules', () => {
  it('wishes in nobody else’s name, leads by no wish, and says neither how many there are nor what time it is', async () => {
    const cluster = await settled(5);
    const lead = cluster.byPeer(cluster.node(0).running?.swarm.consensus.committee.coordinator ?? '') as SimulatedNode;
    const liar = cluster.nodes.find((node) => node !== lead && node !== cluster.node(0)) as SimulatedNode;
    const answers: unknown[] = [];
    const ask = (decision: Decision): void => {
      decisionsOf(lead)
        .answer(liar.peer, encodeCbor(['propose', decision]))
        .then((answer) => answers.push(decodeCbor(answer)));
    };
    const id = (digit: string): string => digit.repeat(32);
    ask(wished(pause(cluster.node(1)), cluster.node(0).peer, id('a'), 1));
    ask(wished({ kind: 'leads' }, liar.peer, id('b'), 1));
    // A clock of its own would end others' leases, or make its own last for ever.
    const lease = { kind: 'lease', plan: 'plan', members: 9_000, sick: 0, untilMs: 9e12 + 60_000 } as const;
    ask(wished(lease, liar.peer, id('c'), 9e12));
    await later(cluster, 2_000);
    expect(answers.slice(0, 2)).toEqual([
      [false, 'a member may only request in its own name', false],
      [false, expect.stringMatching(/not an issuer|only the leader may decide/), false],
    ]);
    const taken = decisionsOf(lead)
      .state.recent()
      .find(({ decision }) => decision.kind === 'lease')?.decision;
    expect(taken).toMatchObject({ members: 5 });
    expect(Math.abs((taken?.atMs ?? 0) - lead.wallMs())).toBeLessThan(5_000);
  });

  it('makes nobody believe what only it attests, nor has another lead', async () => {
    const cluster = await settled(12);
    const voters = decisionsOf(cluster.node(0)).checkpoints.newest?.voters ?? [];
    const [liar, follower] = cluster.nodes.filter(({ peer }) => !voters.includes(peer)) as [SimulatedNode, SimulatedNode];
    const forged = new DecisionState();
    forged.apply(wished(pause(follower), liar.peer, 'd'.repeat(32), 1), { index: 999, term: 99 });
    const vouching = new Attestations(liar.crypto, cluster.swarmId);
    vouching.attest({ index: 999, digest: liar.crypto.hash(forged.encode()), voters: [liar.peer] });
    const lie = encodeCbor([vouching.newest, null, forged.encode()]);
    decisionsOf(liar).answer = async () => lie;
    liar.profile.says = { decided: 999 };
    let refused: unknown;
    const lead = cluster.byPeer(cluster.node(0).running?.swarm.consensus.committee.coordinator ?? '');
    lead?.running?.swarm.consensus.committee.answer(liar.peer, encodeCbor(['transfer', voters[1]])).catch((error: unknown) => {
      refused = error;
    });
    await later(cluster, 60_000);
    for (const { node } of cluster.running()) expect(decisionsOf(node).state.pauseOf(follower.peer), node.name).toBeUndefined();
    expect(String(refused)).toContain('it is not an issuer');
  });
});

describe('a paused agent', () => {
  it('changes nothing by itself, tells what it sees, and heals again once it is woken', async () => {
    const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080 }] };
    const settings = agentSettings(resolveConfig([{ origin: 'test', document }]));
    const cluster = Cluster.of({ nodes: 4, seed: 2, settings });
    cluster.start();
    await cluster.runUntil(SETTLED_MS);
    const paused = cluster.node(2);
    wish(cluster.node(0), pause(paused));
    await later(cluster, 4_000);
    paused.linux.services.kill('web');
    await later(cluster, 30_000);
    const incidents = () => paused.agent?.parts.memory.incidents() ?? [];
    expect(incidents().map(({ state }) => state)).not.toContain('resolved');
    expect(
      incidents()
        .flatMap(({ steps }) => steps.map(({ text }) => text))
        .join('\n'),
    ).toContain('the swarm has paused this agent');
    expect(paused.agent?.parts.watcher.conditions().ServicesReady).toBe('False');
    wish(cluster.node(0), { kind: 'wake', peer: paused.peer, reason: 'moved' });
    await later(cluster, 4_000);
    paused.linux.services.freeze('web');
    await later(cluster, 90_000);
    expect(paused.agent?.parts.watcher.conditions().ServicesReady).toBe('True');
  });
});
