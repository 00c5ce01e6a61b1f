// A coordinator that does not keep to the rules: whatever a schema lets through is decided, in anybody's name, as often as it likes, while
// critical services fail. Nothing that it decides may have a machine do what its witnesses, its issuers and itself do not allow.

import { type Decision, decisionSchema, type Wish, wished } from '../../consensus/decisions/decision.ts';
import { EFFECTS } from '../../consensus/decisions/grants.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { ActionChecker } from '../../sim/check/machines.ts';
import { Cluster } from '../../sim/cluster.ts';
import { archiveOf } from '../../sim/machine/releases.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import type { SeededRandom } from '../../sim/random.ts';
import { toHex } from '../../swarm/dissemination/cbor.ts';

const SETTLED_MS = 30_000;
const PREPARED_MS = SETTLED_MS + 2_000;
const FORGE_EVERY_MS = 300;
const KILL_EVERY_MS = 15_000;
const HOUR_MS = 3_600_000;
const SERVICES = ['web', 'db'];
/** What stops a service that is well, everywhere. */
const HARMFUL = JSON.stringify([
  {
    name: 'harmful',
    scope: 'service',
    severity: 'critical',
    summary: 'it runs',
    when: `service.state == 'running'`,
    remedy: { tool: 'service.stop', service: '$target' },
  },
]);

/** Every machine has it: what is lacking is leave to start it. */
const HARMFUL_RELEASE = archiveOf({ version: '9.9.9', behaviour: 'harms' });
const RELEASE = { version: '9.9.9', bytes: HARMFUL_RELEASE.length };

/** An agent that was taken over: it asks its actuator, with whatever leave it has seen, its own and that of others. */
class TakenOver {
  readonly #cluster: Cluster;
  readonly #node: SimulatedNode;
  readonly #random: SeededRandom;
  #asked = 0;

  constructor(cluster: Cluster, node: SimulatedNode, random: SeededRandom) {
    this.#cluster = cluster;
    this.#node = node;
    this.#random = random;
  }

  ask(): void {
    const { authorizations } = this.#node;
    const service = SERVICES[this.#asked++ % SERVICES.length] ?? '';
    const seen = this.#cluster.nodes.flatMap(({ authorizations: { shown } }) => shown ?? []);
    const leave = this.#random.unit() < 0.3 ? undefined : seen[Math.floor(this.#random.unit() * seen.length)];
    // Under a name of its own, or under that of what somebody has leave for.
    const plans = this.#cluster.agents().flatMap(({ agent }) => agent.parts.memory.incidents().map(({ id }) => `${id}-1`));
    const id =
      this.#random.unit() < 0.5 ? `forged-${this.#asked}` : (plans[Math.floor(this.#random.unit() * plans.length)] ?? 'x');
    const steps = [{ do: ['service.stop', service], undo: undefined }] as const;
    const refused = authorizations.refusal(id, steps, leave, this.#node.wallMs());
    if (refused !== undefined)
      authorizations.refused.length = 0; // as it should be
    else
      this.#cluster.violation(`${this.#node.name}: the actuator would have stopped ${service} for an agent that was taken over`);
  }
}

export interface Siege {
  /** Decisions that were forged and taken. */
  forged: number;
  /** Kinds of them. */
  kinds: ReadonlySet<string>;
  /** Disruptive changes that were made by leave. */
  made: number;
  wrong: readonly string[];
}

/** What the issuer did sign once, and what was taken back before anybody took it. */
interface Past {
  bundle: Extract<Wish, { kind: 'bundle' }>;
  upgrade: Extract<Wish, { kind: 'upgrade' }>;
}

function pastOf(cluster: Cluster): Past {
  const { crypto } = cluster.node(0);
  const { bundles, upgrades } = cluster.node(0).running?.swarm.consensus.decisions.state ?? {};
  const leader = cluster.agents().find(({ node, agent }) => agent.swarm.consensus.committee.coordinator === node.peer)?.agent
    .swarm.consensus.committee.log.current;
  if (bundles === undefined || upgrades === undefined || leader === undefined) throw new Error('the swarm has no leader');
  const how = { canary: [crypto.self], soakMs: 5_000, pushedMs: Math.round(cluster.node(0).wallMs()) };
  const release = { ...RELEASE, digest: toHex(crypto.hash(HARMFUL_RELEASE)) };
  const signed = (bytes: Uint8Array): Uint8Array => crypto.sign(bytes);
  const ofBundle = bundles.kind.bytesOf(cluster.swarmId, { by: crypto.self, policies: HARMFUL, pushedMs: how.pushedMs });
  const ofUpgrade = upgrades.kind.bytesOf(cluster.swarmId, { by: crypto.self, ...release, pushedMs: how.pushedMs });
  const bundle: Past['bundle'] = { kind: 'bundle', policies: HARMFUL, ...how, signature: signed(ofBundle), findings: 1_000 };
  const upgrade: Past['upgrade'] = { kind: 'upgrade', ...release, ...how, signature: signed(ofUpgrade) };
  const reason = 'a person says so';
  const wishes: readonly [Wish, string][] = [
    [bundle, 'b0'],
    [{ kind: 'bundle-withdraw', bundle: 'b0'.repeat(16), reason }, 'b1'],
    [upgrade, 'a0'],
    [{ kind: 'upgrade-withdraw', upgrade: 'a0'.repeat(16), reason }, 'a1'],
  ];
  for (const [wish, id] of wishes)
    leader.propose(wished(wish, crypto.self, id.repeat(16), how.pushedMs), 2_000).catch(() => undefined);
  return { bundle, upgrade };
}

class Forger {
  readonly #cluster: Cluster;
  readonly #node: SimulatedNode;
  readonly #random: SeededRandom;
  readonly #past: Past;
  readonly kinds = new Set<string>();
  forged = 0;

  constructor(cluster: Cluster, node: SimulatedNode, random: SeededRandom, past: Past) {
    this.#past = past;
    this.#cluster = cluster;
    this.#node = node;
    this.#random = random;
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random.unit() * all.length)] as T;
  }

  forge(): void {
    const replica = this.#node.running?.swarm.consensus.committee.log.current;
    if (replica?.state.state !== 'StateLeader') return;
    const peers = this.#cluster.nodes.map(({ peer }) => peer);
    const nowMs = Math.round(this.#node.wallMs() + this.#random.between(-1, 1) * HOUR_MS * (this.#random.unit() < 0.2 ? 1 : 0));
    const id = toHex(this.#random.bytes(16));
    // Half of the leases are for just what somebody is about to do.
    const target = this.#random.unit() < 0.3 ? this.#leaseForWhoWaits(nowMs) : undefined;
    const { wish, by } = target ?? { wish: this.#wish(peers, nowMs), by: this.#pick(peers) };
    const decision = decisionSchema.safeParse(wished(wish, by, id, nowMs));
    if (!decision.success) return;
    this.kinds.add(decision.data.kind);
    replica.propose(decision.data as Decision, 2_000).then(
      () => this.forged++,
      () => undefined,
    );
  }

  #leaseForWhoWaits(nowMs: number): { wish: Wish; by: string } | undefined {
    const open = this.#cluster.agents().flatMap(({ node, agent }) =>
      agent.parts.memory
        .incidents()
        .filter(({ closedMs }) => closedMs === 0)
        .map(({ id, steps }) => ({ by: node.peer, plan: `${id}-${steps.filter(({ stage }) => stage === 'undo').length + 1}` })),
    );
    if (open.length === 0) return undefined;
    const { by, plan } = this.#pick(open);
    return { by, wish: { kind: 'lease', plan, members: 1_000, sick: 0, untilMs: nowMs + 290_000 } };
  }

  #wish(peers: readonly string[], nowMs: number): Wish {
    const peer = this.#pick(peers);
    const service = this.#pick(SERVICES);
    const untilMs = nowMs + HOUR_MS;
    const reason = 'forged';
    const signature = this.#random.unit() < 0.5 ? new Uint8Array(64) : this.#node.crypto.sign(new Uint8Array([1]));
    const state = this.#node.running?.swarm.consensus.decisions.state;
    const known = state?.bundles.state.candidate?.id ?? toHex(new Uint8Array(16));
    const release = state?.upgrades.state.candidate?.id ?? toHex(new Uint8Array(16));
    const digest = toHex(this.#node.crypto.hash(HARMFUL_RELEASE));
    const tool = this.#pick(['service.restart', 'service.stop', 'net.block']);
    const incident = this.#pick(this.#cluster.nodes).agent?.parts.memory.incidents().at(-1)?.id ?? 'inc-0';
    const grant = { tool, target: service, uses: 100, withinMs: HOUR_MS, untilMs, signature, reason };
    return this.#pick<() => Wish>([
      () => ({ kind: 'grant', effect: this.#pick(EFFECTS), peer, ...grant }),
      () => ({ kind: 'lease', plan: `${incident}-1`, members: 1_000, sick: 0, untilMs: nowMs + 290_000 }),
      () => ({ kind: 'lease', plan: `${incident}-2`, members: 1_000, sick: 0, untilMs: nowMs + 290_000 }),
      () => ({ kind: 'release', lease: state?.leases(nowMs)[0]?.id ?? id0 }),
      () => ({ kind: 'bundle', policies: HARMFUL, pushedMs: nowMs, signature, canary: [peer], soakMs: 5_000, findings: 1_000 }),
      () => ({ ...this.#past.bundle, canary: [peer] }),
      () => ({ kind: 'bundle-report', bundle: known, ok: true, reason: '' }),
      () => ({ kind: 'bundle-advance', bundle: known }),
      () => ({ kind: 'bundle-advance', bundle: known, next: [] }),
      () => ({ kind: 'upgrade', ...RELEASE, digest, pushedMs: nowMs, signature, canary: [peer], soakMs: 5_000 }),
      () => ({ ...this.#past.upgrade, canary: [peer] }),
      () => ({ kind: 'upgrade-report', upgrade: release, ok: true, reason: '' }),
      () => ({ kind: 'upgrade-advance', upgrade: release, next: [] }),
      () => ({ kind: 'drain', peer, forMs: HOUR_MS, wishedMs: nowMs, proof: signature, members: 1_000, isOrdered: true, reason }),
      () => ({ kind: 'undrain', peer, reason }),
      () => ({ kind: 'budget', peer: null, changes: 500, withinMs: HOUR_MS, reason }),
      () => ({ kind: 'unbudget', peer: null, reason }),
      () => ({ kind: 'pause', peer, reason }),
      () => ({ kind: 'wake', peer, reason }),
      () => ({ kind: 'wake', peer: state?.paused()[0]?.peer ?? peer, reason }),
      () => ({ kind: 'place', service }),
      () => ({ kind: 'revoke', grant: state?.grants.all(nowMs)[0]?.id ?? id0, reason }),
    ])();
  }
}

const id0 = '0'.repeat(32);

/** @param nodes eight at least: for witnesses enough */
export async function besiege(seed: number, nodes = 8, forMs = 180_000): Promise<Siege> {
  const document = {
    mode: 'act',
    service: SERVICES.map((name, nth) => ({ name, command: [name], port: 8080 + nth, critical: true })),
  };
  const cluster = Cluster.of({ nodes, seed, settings: agentSettings(resolveConfig([{ origin: 'siege', document }])) });
  const checker = new ActionChecker();
  checker.begin(cluster);
  cluster.start();
  const digest = toHex(cluster.node(0).crypto.hash(HARMFUL_RELEASE));
  for (const node of cluster.nodes) {
    node.authorizations.certified = new Set(SERVICES);
    await node.releases.port().keep(digest, HARMFUL_RELEASE);
  }
  await cluster.runUntil(SETTLED_MS);
  const past = pastOf(cluster);
  await cluster.runUntil(PREPARED_MS);
  const random = cluster.random('siege');
  const { voters = [] } = cluster.node(0).running?.swarm.consensus.decisions.checkpoints.newest ?? {};
  const liar = cluster.byPeer(voters.find((peer) => peer !== cluster.node(0).peer) ?? '');
  if (liar === undefined) throw new Error('there is no other voter');
  cluster
    .node(0)
    .running?.swarm.consensus.committee.transfer(liar.peer)
    .catch(() => undefined);
  const forger = new Forger(cluster, liar, random, past);
  const takenOver = new TakenOver(cluster, liar, cluster.random('taken over'));
  let made = 0;
  for (let ms = 0; ms < forMs; ms += FORGE_EVERY_MS) {
    await cluster.runUntil(PREPARED_MS + ms);
    forger.forge();
    takenOver.ask();
    if (ms % KILL_EVERY_MS !== 0) continue;
    const node = cluster.node(Math.floor(random.unit() * nodes));
    const service = SERVICES[Math.floor(random.unit() * SERVICES.length)] ?? '';
    node.past.touched.add(service);
    node.linux.services.kill(service);
  }
  await cluster.runUntil(PREPARED_MS + forMs + 30_000);
  for (const { name, authorizations } of cluster.nodes)
    for (const why of authorizations.refused) cluster.violation(`${name}’s actuator does not hold with its agent: ${why}`);
  const taken = cluster.agents().filter(({ agent }) => agent.parts.policies.all().some(({ origin }) => origin === 'swarm'));
  for (const { node } of taken) cluster.violation(`${node.name} judges by policies that no issuer has signed`);
  for (const { node, agent } of cluster.agents()) {
    if (agent.status().version === '9.9.9') cluster.violation(`${node.name} runs a release that no issuer has signed`);
    for (const { by, peer } of agent.swarm.consensus.decisions.proven.drained().values())
      if (by !== peer) cluster.violation(`${node.name} believes a drain that nobody has signed`);
  }
  for (const { agent } of cluster.agents())
    made += agent.parts.memory.incidents().filter(({ steps }) => steps.some(({ stage }) => stage === 'verify')).length;
  return { forged: forger.forged, kinds: forger.kinds, made, wrong: cluster.violations };
}
