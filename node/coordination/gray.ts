// Gray failures: members that are neither healthy nor down, but slow, losing messages, or with a wrong clock. Observers measure them. If a
// failure lasts, an observer makes a claim, and with a certificate of the witnesses it has the member drained: its placed services move, and
// it leads nothing. An agent whose own disk or event loop is too slow for long drains itself. If it is the event loop, the agent restarts
// once nothing depends on it.

import { isFit, UNFIT_MS, type Vitals } from '../../consensus/committee/fitness.ts';
import { CERTIFIED_MS, type Drain, foundBy } from '../../consensus/decisions/drains.ts';
import { encodeCertificate, MIN_DRAWN } from '../../consensus/vote/certificate.ts';
import type { Claim, GrayKind } from '../../consensus/vote/claim.ts';
import { CLAIM_LIFE_MS, type VoteResult } from '../../consensus/vote/voting.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { integerBelow } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { counted } from '../../swarm/words.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Members } from '../decisions/members.ts';
import { addStep, closeIncident, escalate, type Incident, openIncident } from '../detection/incident.ts';
import type { Evidence } from '../link/evidence.ts';
import type { Measured, Watching } from '../link/peer-selection.ts';
import { PeriodicTask } from '../periodic-task.ts';
import type { Ports } from '../ports/ports.ts';

const LOOK_EVERY_MS = 5_000;
/** Compared with the round trips of the others too: a member far away is not slow. */
const SLOW_MS = 400;
const SLOWER_THAN_OTHERS = 5;
/** Losses count from this number of probes on. */
const MIN_PROBES = 10;
/** With much more loss a member is soon considered down. */
const LOSSY_SHARE = 0.15;
const SKEWED_MS = 5_000;
/** A failure lasts this long before there is a claim. */
const CLAIM_AFTER_MS = 60_000;
/** Witnesses agree from this share of each limit on: no two measure the same. */
const AGREE_FROM = 0.6;
/** A failure that is not measured for this long is over. */
const OVER_AFTER_MS = 20_000;
/** Observers make their claims at random times within this. */
const SPREAD_MS = 20_000;
const AGAIN_MS = 120_000;
/** A drain that ends within this is renewed if the failure lasts. */
const RENEW_MS = 120_000;
/** After its drain, and at most once an hour. */
const RESTART_AFTER_MS = 60_000;
const RESTART_EVERY_MS = 3_600_000;
/** An event loop lag that makes a member slow. */
const RESTART_LAG_MS = 200;
const RESTARTED_KEY = 'gray/restarted';
const DECIDE_WITHIN_MS = 5_000;
/** With fewer members no other could take over from a drained one. */
const MIN_MEMBERS = 5;
const CONFIDENCE = 80;
export const GRAY_POLICY = 'gray-failure';

export interface GrayEvents {
  vote(claim: Claim, witnesses: PeerId[]): Promise<VoteResult>;
  save(incident: Incident): Promise<unknown>;
  /** Restarts this agent; its services keep running. */
  restart(): void;
  log(level: 'info' | 'warn', text: string): void;
}

/** The vital signs of this agent. */
export interface OwnVitals {
  readonly now: Vitals;
  /** Other programs have the CPUs: the lag is not this agent's fault, and the machine's conditions show it. */
  readonly isStarved: boolean;
}

interface Suspicion {
  kind: GrayKind;
  seenMs: number;
  claimAtMs: number;
}

export class GrayWatch {
  readonly #ports: Ports;
  readonly #decisions: Decisions;
  readonly #members: Members;
  readonly #watching: Watching;
  readonly #vitals: OwnVitals;
  readonly #events: GrayEvents;
  readonly #suspicions = new Map<PeerId, Suspicion>();
  /** Of all observed members, at the last look; `isOwn`: this agent itself is the probable cause. */
  #all = { usualMs: 0, isOwn: false };
  #unfitMs: number | undefined;
  #drainedAtMs = Number.NEGATIVE_INFINITY;
  #incident: Incident | undefined;
  readonly #task: PeriodicTask;

  constructor(ports: Ports, decisions: Decisions, members: Members, watching: Watching, vitals: OwnVitals, events: GrayEvents) {
    this.#ports = ports;
    this.#decisions = decisions;
    this.#members = members;
    this.#watching = watching;
    this.#vitals = vitals;
    this.#events = events;
    this.#task = new PeriodicTask({
      clock: ports.clock,
      everyMs: LOOK_EVERY_MS,
      run: () => this.#turn(),
      failed: (why) => events.log('warn', `gray failures: ${why}`),
    });
  }

  start(): void {
    this.#task.start();
  }

  stop(): void {
    this.#task.stop();
  }

  async #turn(): Promise<void> {
    this.#judge();
    await this.#recordOwnDrain();
    await this.#drainSelf();
    await this.#restartSelf();
    const nowMs = this.#ports.clock.monotonicMs();
    for (const [peer, suspicion] of this.#suspicions) {
      if (nowMs < suspicion.claimAtMs || this.#isDrained(peer) || this.#members.all().length < MIN_MEMBERS) continue;
      suspicion.claimAtMs = nowMs + AGAIN_MS;
      await this.#claim(peer, suspicion.kind);
    }
  }

  // What is measured

  #judge(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const seen = new Map(this.#watching.subjects().map((peer) => [peer, this.#watching.measured(peer)]));
    const usualMs = median([...seen.values()].flatMap(({ rttMs }) => rttMs ?? []));
    const gray = new Map([...seen].map(([peer, measured]) => [peer, kindOf(measured, usualMs)]));
    // If most look so, the cause is this agent or its network.
    const isOwn = [...gray.values()].filter((kind) => kind !== undefined).length * 2 > gray.size;
    this.#all = { usualMs, isOwn };
    for (const [peer, { seenMs }] of [...this.#suspicions])
      if (isOwn || nowMs - seenMs >= OVER_AFTER_MS) this.#suspicions.delete(peer);
    if (isOwn) return;
    for (const [peer, kind] of gray) {
      const known = this.#suspicions.get(peer);
      if (known !== undefined && known.kind === kind) known.seenMs = nowMs;
      if (kind === undefined || known?.kind === kind) continue;
      const claimAtMs = nowMs + CLAIM_AFTER_MS + integerBelow(this.#ports.random, SPREAD_MS);
      this.#suspicions.set(peer, { kind, seenMs: nowMs, claimAtMs });
    }
  }

  /** As a witness: the evidence of this agent's own measurements. */
  evidenceOn({ subject, kind }: Claim): Evidence {
    const measured = this.#watching.measured(subject);
    const isKnown = measured.rttMs !== undefined && measured.probes >= MIN_PROBES;
    const seen = kindOf(measured, this.#all.usualMs, AGREE_FROM);
    if (!isKnown || this.#all.isOwn || (seen !== undefined && seen !== kind))
      return { verdict: 'abstain', reason: 'no-evidence', confidence: 0 };
    return { verdict: seen === kind ? 'yes' : 'no', reason: 'own-measure', confidence: CONFIDENCE };
  }

  /** Drained, and not only for the next two minutes. */
  #isDrained(peer: PeerId): boolean {
    const drain = this.#decisions.proven.drained().get(peer);
    return drain !== undefined && drain.atMs + drain.forMs - this.#decisions.wallMs() > RENEW_MS;
  }

  // What is done about it

  async #claim(peer: PeerId, kind: GrayKind): Promise<void> {
    const { crypto } = this.#ports;
    const witnesses = this.#watching.witnessesOf(peer);
    if (witnesses.length < MIN_DRAWN) return;
    const fromMs = Math.round(this.#decisions.wallMs());
    const name = this.#members.nameOf(peer);
    const { rttMs, lostShare, offsetMs } = this.#watching.measured(peer);
    const evidenceDigest = crypto.hash(encodeCbor([kind, rttMs ?? null, lostShare, offsetMs ?? null]));
    const times = { fromMs, expiresAtMs: fromMs + CLAIM_LIFE_MS };
    const claim: Claim = { subject: peer, kind, target: '', port: undefined, ...times, evidenceDigest };
    const result = await this.#events.vote(claim, witnesses);
    this.#events.log('info', `${name} looks ${kind} from here: ${result.outcome} by ${counted(witnesses.length, 'witness')}`);
    if (result.certificate === undefined) return;
    const proof = encodeCertificate(result.certificate);
    const reason = `${kind}: ${result.certificate.votes.length} of ${witnesses.length} witnesses measure the same`;
    const wish = {
      kind: 'drain',
      peer,
      forMs: CERTIFIED_MS,
      wishedMs: fromMs,
      proof,
      members: 1,
      isOrdered: false,
      reason,
    } as const;
    const outcome = await this.#decisions.decide(wish, DECIDE_WITHIN_MS);
    if (!outcome.ok) this.#events.log('info', `${name} is not drained: ${outcome.reason}`);
  }

  async #drainSelf(): Promise<void> {
    const nowMs = this.#ports.clock.monotonicMs();
    const vitals = this.#vitals.now;
    if (isFit(this.#vitals.isStarved ? { ...vitals, lagMs: 0 } : vitals)) this.#unfitMs = undefined;
    else this.#unfitMs ??= nowMs;
    if (this.#unfitMs === undefined || nowMs - this.#unfitMs < UNFIT_MS || nowMs - this.#drainedAtMs < AGAIN_MS) return;
    if (this.#isDrained(this.#members.self) || this.#members.all().length < MIN_MEMBERS) return;
    this.#drainedAtMs = nowMs;
    const reason = `stalled: disk latency ${Math.round(vitals.diskMs)} ms, event loop lag ${Math.round(vitals.lagMs)} ms`;
    this.#events.log('warn', `this agent drains itself: ${reason}`);
    await this.#decisions.drain(this.#members.self, CERTIFIED_MS, reason, DECIDE_WITHIN_MS);
  }

  /** A late event loop may be this agent's own fault: then a restart helps, and loses nothing. */
  async #restartSelf(): Promise<void> {
    const { clock, store } = this.#ports;
    const drain = this.#decisions.proven.drained().get(this.#members.self);
    const vitals = this.#vitals.now;
    const nowMs = Math.round(clock.wallMs());
    if (
      drain === undefined ||
      this.#decisions.wallMs() - drain.atMs < RESTART_AFTER_MS ||
      vitals.lagMs < RESTART_LAG_MS ||
      this.#vitals.isStarved
    )
      return;
    // Not for a drain by a person.
    const isOwn = drain.by === this.#members.self && Number.isFinite(this.#drainedAtMs);
    if (!isOwn && foundBy(drain)?.kind !== 'slow') return;
    const before = decodeCbor((await store.get(RESTARTED_KEY)) ?? encodeCbor(0));
    // A time in the future is from a wrong clock.
    if (typeof before !== 'number' || (before <= nowMs && nowMs - before < RESTART_EVERY_MS)) return;
    await store.write([{ kind: 'put', key: RESTARTED_KEY, value: encodeCbor(nowMs) }]);
    const text = `event loop lag is ${Math.round(vitals.lagMs)} ms: the agent restarts; its services keep running`;
    if (this.#incident !== undefined) {
      addStep(this.#incident, nowMs, 'act', text);
      await this.#events.save(this.#incident);
    }
    this.#events.log('warn', text);
    this.stop();
    this.#events.restart();
  }

  /** Keeps an incident on the drained machine itself. */
  async #recordOwnDrain(): Promise<void> {
    const drain = this.#decisions.proven.drained().get(this.#members.self);
    if (drain !== undefined && this.#incident === undefined) return this.#begin(drain);
    const incident = this.#incident;
    if (drain !== undefined || incident === undefined) return;
    this.#incident = undefined;
    const nowMs = this.#ports.clock.wallMs();
    addStep(incident, nowMs, 'remember', 'the drain has ended');
    closeIncident(incident, nowMs, 'resolved', 'the drain has ended');
    await this.#events.save(incident);
  }

  async #begin(drain: Drain): Promise<void> {
    const { clock, crypto } = this.#ports;
    const nowMs = clock.wallMs();
    const name = this.#members.nameOf(this.#members.self);
    const finding = { policy: GRAY_POLICY, target: name, severity: 'warning' as const, summary: `drained: ${drain.reason}` };
    const incident = openIncident(finding, this.#members.self, name, nowMs, crypto.hash);
    escalate(incident);
    const found = foundBy(drain);
    const who = found === undefined ? `requested by ${this.#members.nameOf(drain.by)}` : `its witnesses find it ${found.kind}`;
    addStep(incident, nowMs, 'detect', `${who}: ${drain.reason}`);
    if (found !== undefined) {
      incident.certificate = btoa(String.fromCharCode(...found.certificate));
      addStep(incident, nowMs, 'vote', `certified by its witnesses, on request of ${this.#members.nameOf(drain.by)}`);
    }
    const minutes = Math.round(drain.forMs / 60_000);
    addStep(incident, nowMs, 'act', `releases placed services and its committee seat for ${minutes} minutes`);
    this.#incident = incident;
    this.#events.log('warn', `${incident.id}: this member is drained: ${drain.reason}`);
    await this.#events.save(incident);
  }
}

/** @param from the share of each limit that is enough */
function kindOf({ rttMs, probes, lostShare, offsetMs }: Measured, usualMs: number, from = 1): GrayKind | undefined {
  if (offsetMs !== undefined && Math.abs(offsetMs) > SKEWED_MS * from) return 'skewed';
  if (probes >= MIN_PROBES && lostShare >= LOSSY_SHARE * from) return 'lossy';
  return rttMs !== undefined && rttMs > Math.max(SLOW_MS, usualMs * SLOWER_THAN_OTHERS) * from ? 'slow' : undefined;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
