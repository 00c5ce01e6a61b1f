// One incident from its finding to its outcome: vote → decide → act → verify → remember. It repeats while the finding lasts. After an
// attempt that did not help there is another after a pause. An incident that a brake blocks is tried again as soon as the brake ends. One
// that witnesses refute is checked again. One that is neither being repaired nor waiting for a person is escalated after a while.
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import { type Claim, claimTarget } from '../../consensus/vote/claim.ts';
import { CLAIM_LIFE_MS, type VoteResult } from '../../consensus/vote/voting.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { describeCall } from '../action/tools.ts';
import { wasRefused } from '../action/transaction.ts';
import type { PlacedServices } from '../coordination/placed-services.ts';
import { backoffMs } from '../decision/backoff.ts';
import { type Decision, decide } from '../decision/decide.ts';
import type { Plan } from '../decision/plan.ts';
import { type Finding, findingKey } from '../detection/detector.ts';
import type { Incident, Stage, Step } from '../detection/incident.ts';
import { remoteCheckOf } from '../link/evidence.ts';
import type { ServiceSpec } from '../ports/actuator.ts';
import type { ToolCall } from '../tool-call.ts';
import { Attempts } from './attempts.ts';
import type { Executor, Performed, PlanEvent } from './executor.ts';
import type { IncidentParts, OpenIncidents } from './open-incidents.ts';
import type { Permits } from './permits.ts';
import type { Watcher } from './watcher.ts';

/** How often brakes are checked. */
const LOOK_EVERY_MS = 1_000;
/** An incident that is open for so long, neither being repaired nor with a person, is escalated. */
export const ESCALATE_AFTER_MS = 90_000;
/** Pauses after which a watched incident is decided again. */
const DECIDE_AGAIN_MS = [15_000, 15_000, 30_000, 60_000, 120_000, 300_000] as const;
/** Other actions come first: tried again when one of them ends, after a pause that grows each time, at the latest after the maximum. */
const BUSY_MS = 2_000;
const MAX_BUSY_MS = 20_000;

export interface LoopParts extends IncidentParts {
  watcher: Watcher;
  executor: Executor;
  permits: Permits;
  placed: PlacedServices;
  services: readonly ServiceSpec[];
}

/** What the loop does next. */
type Next =
  | { kind: 'over' }
  /** A repair did not help. */
  | { kind: 'again' }
  /** A brake blocks it; `obstacle` returns the reason while it does. */
  | { kind: 'blocked'; obstacle: () => string | undefined }
  /** Other actions come first, until `free` returns true. */
  | { kind: 'busy'; reason: string; free: () => boolean }
  /** No action for now. */
  | { kind: 'watched'; reason: string };

const OVER: Next = { kind: 'over' };
const CLEARED = 'cleared before it was acted on';
/** A finding fires until its condition has been false for a while. */
const CLEARING = 'the finding is clearing';

export class IncidentLoop {
  readonly #parts: LoopParts;
  readonly #incidents: OpenIncidents;
  readonly #incident: Incident;
  readonly #finding: Finding;
  readonly #attempts: Attempts;
  /** Its start, monotonic. */
  readonly #beganMs: number;
  /** Witnesses have voted and the tiers have decided once. */
  #wasDecided = false;

  constructor(parts: LoopParts, incidents: OpenIncidents, incident: Incident, finding: Finding) {
    this.#parts = parts;
    this.#incidents = incidents;
    this.#incident = incident;
    this.#finding = finding;
    this.#beganMs = parts.ports.clock.monotonicMs();
    this.#attempts = new Attempts(this.#beganMs);
  }

  /** Until it is closed, or clears. */
  async run(): Promise<void> {
    /** Consecutive results. */
    let [watched, busy] = [0, 0];
    for (;;) {
      const next = await this.#attempt();
      if (next.kind === 'over' || this.#isOver()) return;
      watched = next.kind === 'watched' ? watched + 1 : 0;
      busy = next.kind === 'busy' ? busy + 1 : 0;
      if (next.kind === 'again') this.#attempts.failed(this.#incident.tool, this.#parts.ports.clock.monotonicMs());
      const atLeastMs = Math.min(busy * BUSY_MS, MAX_BUSY_MS);
      await this.#wait(next, atLeastMs, this.#pauseMs(next, watched));
      if (this.#isOver()) return;
      if (!this.#stillFires()) return this.#resolve('cleared after an attempt with no visible effect');
    }
  }

  #isOver(): boolean {
    return this.#incidents.isOver(this.#incident);
  }

  #pauseMs(next: Next, watched: number): number {
    const { policy, target, tool } = this.#incident;
    switch (next.kind) {
      case 'again':
        return backoffMs(this.#parts.memory.remedyRecord(policy, target, tool), this.#attempts.made);
      case 'busy':
        return MAX_BUSY_MS;
      case 'watched':
        return DECIDE_AGAIN_MS[Math.min(watched, DECIDE_AGAIN_MS.length) - 1] ?? 0;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** Waits for the pause, or until nothing blocks it; escalates an incident that has been open for long. */
  async #wait(next: Next, atLeastMs: number, pauseMs: number): Promise<void> {
    const { clock } = this.#parts.ports;
    const startMs = clock.monotonicMs();
    while (!this.#isOver()) {
      const waitedMs = clock.monotonicMs() - startMs;
      const leftMs = pauseMs - waitedMs;
      const isFree = next.kind === 'blocked' ? next.obstacle() === undefined : next.kind === 'busy' && next.free();
      if (leftMs <= 0 || (isFree && waitedMs >= atLeastMs)) return;
      if (clock.monotonicMs() - this.#beganMs >= ESCALATE_AFTER_MS) await this.#escalateLate(next);
      await new Promise<void>((resolve) => clock.after(Math.max(1, Math.min(LOOK_EVERY_MS, leftMs)), resolve));
    }
  }

  /** Escalates an open incident, unless it is silenced or of severity `info`. */
  async #escalateLate(next: Next): Promise<void> {
    const { state, severity } = this.#incident;
    if (state === 'escalated' || state === 'waiting' || severity === 'info') return;
    if (this.#parts.executor.brakes.silence(this.#incident) !== undefined) return;
    const reason = next.kind === 'blocked' ? next.obstacle() : next.kind === 'again' ? 'the repair did not help' : next.kind;
    await this.#incidents.escalate(
      this.#incident,
      next.kind === 'watched' || next.kind === 'busy' ? next.reason : (reason ?? 'the incident is still open'),
    );
  }

  #stillFires(): boolean {
    return this.#parts.watcher.detectors.firing().some((other) => findingKey(other) === findingKey(this.#finding));
  }

  /** Why a finding is only reported and explained: it is silenced, or the swarm has paused this agent. */
  #quiet(): string | undefined {
    const { brakes } = this.#parts.executor;
    return brakes.silence(this.#finding) ?? brakes.paused;
  }

  /** One round of vote, decision and action. */
  async #attempt(): Promise<Next> {
    const quiet = this.#quiet();
    if (quiet !== undefined) {
      this.#step('decide', `no action: ${quiet}`);
      return this.#watch({ kind: 'blocked', obstacle: () => this.#quiet() });
    }
    if (this.#wasDecided && this.#remedies().length === 0) return this.#watch({ kind: 'watched', reason: 'no remedy is known' });
    this.#wasDecided = true;
    const result = await this.#vote();
    if (this.#isOver()) return OVER;
    const decision = await this.#decide(result);
    if (this.#isOver()) return OVER;
    if (decision.kind === 'watch') return this.#decideLater(decision);
    if (!this.#stillFires()) {
      await this.#resolve(CLEARED);
      return OVER;
    }
    return this.#act(decision, this.#attempts.next());
  }

  /** No action now; decided again later, as witnesses may confirm it then, and remedies may be known. */
  async #decideLater({ routed, reason }: Decision): Promise<Next> {
    const wasTried = this.#attempts.hasFailed;
    // A remedy is known, but no tier trusts it because of its record: a person must decide.
    const unsure = routed.tier === undefined && this.#finding.remedies.length > 0;
    if (wasTried || unsure) {
      const why = wasTried ? 'the repair did not help' : 'no tier trusts the policy’s remedy';
      await this.#incidents.escalate(this.#incident, why);
    }
    return this.#watch({ kind: 'watched', reason });
  }

  /** What is wrong, as of now. */
  #claim(): Claim {
    const { ports, link } = this.#parts;
    const nowMs = link.time.claimMs();
    return {
      subject: link.members.self,
      kind: this.#finding.claim,
      target: claimTarget(this.#finding.target, ports.crypto.hash),
      port: ports.actuator.services().find(({ name }) => name === this.#finding.target)?.port,
      check:
        this.#finding.claim === 'service-unresponsive' ? remoteCheckOf(this.#parts.services, this.#finding.target) : undefined,
      fromMs: nowMs,
      expiresAtMs: nowMs + CLAIM_LIFE_MS,
      evidenceDigest: ports.crypto.hash(encodeCbor([this.#incident.id, JSON.stringify(this.#finding.evidence)])),
    };
  }

  async #vote(): Promise<VoteResult> {
    const { link } = this.#parts;
    const result = await link.ballots.vote(this.#claim(), link.selection.witnesses());
    if (result.certificate !== undefined) this.#incident.certificate = toBase64(encodeCertificate(result.certificate));
    const asked = result.witnesses.length;
    const words = this.#words(result);
    const text =
      asked === 0
        ? 'no witnesses: this machine is alone'
        : `${result.outcome} by ${asked} witnesses: ${words || 'no answer in time'}`;
    this.#step('vote', text, {
      claim: result.claimId,
      outcome: asked === 0 ? 'unasked' : result.outcome,
      votes: result.votes.length,
      asked,
    });
    await this.#save();
    return result;
  }

  #words({ votes }: VoteResult): string {
    return votes
      .map((vote) => `${this.#parts.link.members.nameOf(vote.witness)} ${vote.verdict} (${vote.reason}, ${vote.confidence} %)`)
      .join(', ');
  }

  /** As things are now. */
  #remedies(): Finding['remedies'] {
    const found =
      this.#parts.watcher.detectors.firing().find((other) => findingKey(other) === findingKey(this.#finding)) ?? this.#finding;
    return found.remedies;
  }

  async #decide(result: VoteResult): Promise<Decision> {
    const { ports, memory, watcher } = this.#parts;
    const { policy, target } = this.#finding;
    const remedies = this.#remedies().map((calls) => {
      const tools = toolsOf(calls);
      return {
        calls,
        record: memory.remedyRecord(policy, target, tools),
        similar: memory.cases.similar(policy, target, tools, watcher.samples.features()),
        triedNow: this.#attempts.failuresOf(tools),
      };
    });
    const claimOutcome = result.witnesses.length === 0 ? 'unasked' : result.outcome;
    const isTrial = this.#attempts.isTrialDue(ports.clock.monotonicMs());
    const decision = await decide(
      { policy, target, remedies, claimOutcome, features: watcher.samples.features(), isTrial },
      ports.compute,
    );
    this.#attempts.decided(isTrial && decision.kind === 'act');
    const { tier, considered } = decision.routed;
    const abstained = considered
      .filter(({ answer }) => answer.kind === 'abstain')
      .map((one) => `${one.tier} abstained (${one.answer.reason})`);
    const what = decision.kind === 'act' ? decision.calls.map(describeCall).join(', ') : 'watch';
    const text = [`${what}, by the ${tier ?? 'safest'} tier: ${decision.reason}`, ...abstained].join('; ');
    this.#step('decide', text, {
      tier: tier ?? 'none',
      what,
      confidence: decision.routed.answer.kind === 'abstain' ? 0 : decision.routed.answer.confidence,
    });
    await this.#save();
    return decision;
  }

  /** An escalated incident stays escalated. */
  async #watch(next: Next): Promise<Next> {
    if (this.#incident.state !== 'escalated') this.#incident.state = 'watching';
    await this.#save();
    return next;
  }

  async #act(decision: Extract<Decision, { kind: 'act' }>, attempt: number): Promise<Next> {
    const { calls, reason } = decision;
    const id = `${this.#incident.id}-${attempt}`;
    const plan: Plan = { id, incident: this.#incident.id, calls, tier: decision.routed.tier ?? 'reactive', reason };
    this.#incident.tool = toolsOf(calls);
    const performed = await this.#parts.executor.perform(plan, 'policy', {
      stillWrong: () => {
        const holds = this.#parts.watcher.detectors.holds(this.#incident);
        if (holds) this.#parts.watcher.lookAgain();
        return holds ? this.#incident.summary : undefined;
      },
      claim: () => this.#claim(),
      // Witnesses, the committee and the disk take time: the finding may have cleared by then.
      unchanged: () => {
        if (this.#isOver() || !this.#stillFires()) return CLEARED;
        return this.#parts.watcher.detectors.holds(this.#finding) ? undefined : CLEARING;
      },
      on: (event) => this.#note(event, plan, attempt),
    });
    if (this.#isOver()) return OVER; // it cleared before a person answered
    return performed.kind === 'held' ? this.#held(calls, performed) : this.#finishAttempt(performed);
  }

  /** Adds a plan's progress to the incident's steps. */
  async #note(event: PlanEvent, { id, calls }: Plan, attempt: number): Promise<void> {
    switch (event.kind) {
      case 'permitted': {
        const { permit, votes } = event;
        this.#incident.certificate = this.#parts.permits.encoded(permit);
        const approved = permit.approvals.map((grant) => `${grant.reason} (${grant.id.slice(0, 8)})`).join(', ');
        const who =
          votes === undefined
            ? `a standing approval allows it: ${approved}`
            : `witnesses and the swarm allow it: ${this.#words(votes)}`;
        const claimed = votes && { claim: votes.claimId, outcome: votes.outcome };
        this.#step('vote', `${who}; lease ${permit.fence}`, { ...claimed, lease: permit.lease });
        break;
      }
      case 'unpermitted':
        return this.#step('vote', `needs approval by a person: ${event.reason}`);
      case 'asked':
        this.#incident.state = 'waiting';
        this.#step('act', `approval needed (kalos approve ${id}): ${event.diff.join('; ')}`, { plan: id });
        break;
      case 'intended': {
        if (this.#isOver()) return;
        this.#incident.state = 'acting';
        const what = `${calls.map(describeCall).join(', ')}, attempt ${attempt}: ${event.diff.join('; ')}`;
        this.#step('act', what, { plan: id, audit: event.record.index });
      }
    }
    await this.#save();
  }

  /** Not done: only shown, refused, or over a limit. */
  async #held(calls: readonly ToolCall[], { verdict, diff }: Extract<Performed, { kind: 'held' }>): Promise<Next> {
    const { executor } = this.#parts;
    const { reason } = verdict;
    if (!this.#stillFires()) {
      await this.#resolve(CLEARED);
      return OVER;
    }
    const isTrue = (): boolean => this.#parts.watcher.detectors.holds(this.#finding);
    if (reason === CLEARING) return this.#watch({ kind: 'busy', reason, free: isTrue });
    const would = verdict.kind === 'shown' ? `would do: ${diff.join('; ')}; ` : '';
    this.#step('act', `${would}not done: ${reason}`, { verdict: verdict.kind });
    const obstacle = (): string | undefined => this.#quiet() ?? executor.brakes.standing(calls);
    const isFinal = verdict.kind === 'refused' && verdict.final === true;
    if (verdict.kind === 'escalate' || isFinal) {
      if (await this.#handOver(reason)) return OVER;
      await this.#incidents.escalate(this.#incident, reason);
      if (isFinal) return OVER;
    }
    if (obstacle() !== undefined) return this.#watch({ kind: 'blocked', obstacle });
    if (verdict.kind !== 'refused' || verdict.later !== true)
      return this.#watch({ kind: 'watched', reason: `not done: ${reason}` });
    this.#incident.tool = ''; // nothing was tried
    const free = (): boolean => executor.slots.refusal(calls) === undefined && this.#parts.permits.mayLease();
    return this.#watch({ kind: 'busy', reason: `not done: ${reason}`, free });
  }

  async #finishAttempt({ entry, record }: Extract<Performed, { kind: 'done' }>): Promise<Next> {
    const { memory } = this.#parts;
    const worked = entry.phase === 'confirmed';
    const { id, calls } = entry.plan;
    const tool = toolsOf(calls);
    const text = worked ? `it helped: ${entry.reason}` : `${entry.phase}: ${entry.reason}`;
    this.#step(worked ? 'verify' : 'undo', text, { plan: id, phase: entry.phase, audit: record.index });
    if (wasRefused(entry)) return this.#watch({ kind: 'watched', reason: `not done: ${entry.reason}` });
    const known = await memory.learn(this.#incident.policy, this.#incident.target, tool, worked);
    const features = this.#parts.watcher.samples.features() ?? [];
    const { policy, target } = this.#incident;
    const atMs = this.#parts.ports.clock.wallMs();
    await memory.cases.learn({
      id,
      incident: this.#incident.id,
      policy,
      target,
      tools: tool,
      plan: calls.map(describeCall).join(', '),
      worked,
      atMs,
      features,
    });
    this.#step('remember', `${tool} helped ${known.worked} of ${known.worked + known.failed} times on ${this.#incident.target}`);
    if (worked) {
      await this.#resolve(`${tool} helped`);
      this.#parts.watcher.detectors.rearm(this.#incident);
    } else {
      this.#incident.state = 'open';
      await this.#save();
      if (await this.#handOver(`${tool} did not help on ${this.#parts.link.admission.name}`)) return OVER;
    }
    return worked ? OVER : { kind: 'again' };
  }

  /** Moves a service that other members declare too, and that cannot be repaired here. @returns false if it is still here */
  async #handOver(reason: string): Promise<boolean> {
    const { placed, link } = this.#parts;
    if (!placed.isHere(this.#incident.target)) return false;
    this.#incident.state = 'acting'; // the stop clears the finding: that must not close the incident
    const handed = await placed.handOver(this.#incident.target, reason, (text) => this.#step('act', text));
    this.#incident.state = 'open';
    await this.#save();
    if (handed.kind === 'moved') await this.#resolve(`${this.#incident.target} runs on ${link.members.nameOf(handed.to)} now`);
    else if (handed.kind === 'nowhere')
      await this.#incidents.close(this.#incident, 'escalated', `${this.#incident.target} runs on no member and needs a person`);
    return handed.kind !== 'kept';
  }

  #resolve(outcome: string): Promise<void> {
    return this.#incidents.close(this.#incident, 'resolved', outcome);
  }

  #save(): Promise<void> {
    return this.#incidents.save(this.#incident);
  }

  #step(stage: Stage, text: string, data?: Step['data']): void {
    this.#incidents.step(this.#incident, stage, text, data);
  }
}

/** The key of a remedy's record. */
function toolsOf(calls: readonly ToolCall[]): string {
  return calls.map(({ tool }) => tool).join(', ');
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
