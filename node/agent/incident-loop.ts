// One incident's way from its finding to its outcome: vote → decide → act → verify → remember. It repeats while the finding lasts: an
// attempt that did not help is followed by another after a pause, an incident that a brake stops is tried again as soon as no brake is
// left, one that witnesses refute is judged again; and one that is neither being repaired nor waiting for a person is escalated after a
// while.
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
/** An incident that is open for so long, and neither being repaired nor with a person, is escalated. */
export const TELL_AFTER_MS = 90_000;
/** After which what is watched is judged again: each time later. */
const JUDGE_AGAIN_MS = [15_000, 15_000, 30_000, 60_000, 120_000, 300_000] as const;
/** Others come first: asked again as soon as one of them is done, but each time no sooner than this later, or after the longest. */
const BUSY_MS = 2_000;
const MAX_BUSY_MS = 20_000;

export interface LoopParts extends IncidentParts {
  watcher: Watcher;
  executor: Executor;
  permits: Permits;
  placed: PlacedServices;
  services: readonly ServiceSpec[];
}

/** What is to be done about an incident next. */
type Next =
  | { kind: 'over' }
  /** It was tried, and did not help. */
  | { kind: 'again' }
  /** Something is in the way; `back` says what, for as long as it is. */
  | { kind: 'held'; back: () => string | undefined }
  /** Others come first, as long as `free` says so. */
  | { kind: 'busy'; reason: string; free: () => boolean }
  /** As it looks now, nothing is done. */
  | { kind: 'watched'; reason: string };

const OVER: Next = { kind: 'over' };
const CLEARED = 'cleared before it was acted on';
/** It fires until that has lasted. */
const CLEARING = 'it is not so any more';

export class IncidentLoop {
  readonly #parts: LoopParts;
  readonly #incidents: OpenIncidents;
  readonly #incident: Incident;
  readonly #finding: Finding;
  readonly #attempts: Attempts;
  /** When it began, monotonic. */
  readonly #beganMs: number;
  /** Witnesses and tiers have been asked once. */
  #wasJudged = false;

  constructor(parts: LoopParts, incidents: OpenIncidents, incident: Incident, finding: Finding) {
    this.#parts = parts;
    this.#incidents = incidents;
    this.#incident = incident;
    this.#finding = finding;
    this.#beganMs = parts.ports.clock.monotonicMs();
    this.#attempts = new Attempts(this.#beganMs);
  }

  /** Until it is over, or clears. */
  async run(): Promise<void> {
    /** In a row. */
    let [judged, busy] = [0, 0];
    for (;;) {
      const next = await this.#attempt();
      if (next.kind === 'over' || this.#isOver()) return;
      judged = next.kind === 'watched' ? judged + 1 : 0;
      busy = next.kind === 'busy' ? busy + 1 : 0;
      if (next.kind === 'again') this.#attempts.failed(this.#incident.tool, this.#parts.ports.clock.monotonicMs());
      const atLeastMs = Math.min(busy * BUSY_MS, MAX_BUSY_MS);
      await this.#wait(next, atLeastMs, this.#pauseMs(next, judged));
      if (this.#isOver()) return;
      if (!this.#stillFires()) return this.#resolve('cleared after an attempt that did not show to help');
    }
  }

  #isOver(): boolean {
    return this.#incidents.isOver(this.#incident);
  }

  #pauseMs(next: Next, judged: number): number {
    const { policy, target, tool } = this.#incident;
    switch (next.kind) {
      case 'again':
        return backoffMs(this.#parts.memory.remedyRecord(policy, target, tool), this.#attempts.made);
      case 'busy':
        return MAX_BUSY_MS;
      case 'watched':
        return JUDGE_AGAIN_MS[Math.min(judged, JUDGE_AGAIN_MS.length) - 1] ?? 0;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** For the time, or until nothing is in the way; tells a person where it has been open for long. */
  async #wait(next: Next, atLeastMs: number, pauseMs: number): Promise<void> {
    const { clock } = this.#parts.ports;
    const startMs = clock.monotonicMs();
    while (!this.#isOver()) {
      const waitedMs = clock.monotonicMs() - startMs;
      const leftMs = pauseMs - waitedMs;
      const isFree = next.kind === 'held' ? next.back() === undefined : next.kind === 'busy' && next.free();
      if (leftMs <= 0 || (isFree && waitedMs >= atLeastMs)) return;
      if (clock.monotonicMs() - this.#beganMs >= TELL_AFTER_MS) await this.#escalateLate(next);
      await new Promise<void>((resolve) => clock.after(Math.max(1, Math.min(LOOK_EVERY_MS, leftMs)), resolve));
    }
  }

  /** Escalates what is still open, except what a person has silenced and findings of severity `info`. */
  async #escalateLate(next: Next): Promise<void> {
    const { state, severity } = this.#incident;
    if (state === 'escalated' || state === 'waiting' || severity === 'info') return;
    if (this.#parts.executor.brakes.silence(this.#incident) !== undefined) return;
    const reason = next.kind === 'held' ? next.back() : next.kind === 'again' ? 'what was tried did not help' : next.kind;
    await this.#incidents.escalate(
      this.#incident,
      next.kind === 'watched' || next.kind === 'busy' ? next.reason : (reason ?? 'it is still open'),
    );
  }

  #stillFires(): boolean {
    return this.#parts.watcher.detectors.firing().some((other) => findingKey(other) === findingKey(this.#finding));
  }

  /** Why a finding is only reported and explained, and nothing is done about it: it is silenced, or the swarm has paused this agent. */
  #quiet(): string | undefined {
    const { brakes } = this.#parts.executor;
    return brakes.silence(this.#finding) ?? brakes.paused;
  }

  /** One round of vote, decision and action. */
  async #attempt(): Promise<Next> {
    const quiet = this.#quiet();
    if (quiet !== undefined) {
      this.#step('decide', `nothing is done: ${quiet}`);
      return this.#watch({ kind: 'held', back: () => this.#quiet() });
    }
    if (this.#wasJudged && this.#remedies().length === 0)
      return this.#watch({ kind: 'watched', reason: 'no remedy is known for it' }); // nobody is asked again
    this.#wasJudged = true;
    const result = await this.#vote();
    if (this.#isOver()) return OVER;
    const decision = await this.#decide(result);
    if (this.#isOver()) return OVER;
    if (decision.kind === 'watch') return this.#judgeLater(decision);
    if (!this.#stillFires()) {
      await this.#resolve(CLEARED);
      return OVER;
    }
    return this.#act(decision, this.#attempts.next());
  }

  /** It is not acted on; judged again later, for witnesses may see it then, and remedies may be known. */
  async #judgeLater({ routed, reason }: Decision): Promise<Next> {
    const wasTried = this.#attempts.hasFailed;
    // A remedy is known, and no tier trusts it, by how it did before: then somebody must look.
    const unsure = routed.tier === undefined && this.#finding.remedies.length > 0;
    if (wasTried || unsure) {
      const why = wasTried ? 'what was tried did not help' : 'no tier is confident enough in what the policy declares';
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
        ? 'no witness to ask: this machine is alone'
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

  /** A person who was told stays so. */
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
      // Witnesses, the swarm's order and the disk take their time: it may be well by then.
      unchanged: () => {
        if (this.#isOver() || !this.#stillFires()) return CLEARED;
        return this.#parts.watcher.detectors.holds(this.#finding) ? undefined : CLEARING;
      },
      on: (event) => this.#note(event, plan, attempt),
    });
    if (this.#isOver()) return OVER; // it cleared while a person thought about it
    return performed.kind === 'held' ? this.#held(calls, performed) : this.#finishAttempt(performed);
  }

  /** What becomes of a plan, as a step of the incident's story. */
  async #note(event: PlanEvent, { id, calls }: Plan, attempt: number): Promise<void> {
    switch (event.kind) {
      case 'permitted': {
        const { permit, votes } = event;
        this.#incident.certificate = this.#parts.permits.encoded(permit);
        const approved = permit.approvals.map((grant) => `${grant.reason} (${grant.id.slice(0, 8)})`).join(', ');
        const who =
          votes === undefined
            ? `a standing approval allows it: ${approved}`
            : `its witnesses and the swarm allow it: ${this.#words(votes)}`;
        const claimed = votes && { claim: votes.claimId, outcome: votes.outcome };
        this.#step('vote', `${who}; lease ${permit.fence}`, { ...claimed, lease: permit.lease });
        break;
      }
      case 'unpermitted':
        return this.#step('vote', `a person has to allow it: ${event.reason}`);
      case 'asked':
        this.#incident.state = 'waiting';
        this.#step('act', `waits for approval (kalos approve ${id}): ${event.diff.join('; ')}`, { plan: id });
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

  /** Not done: shown only, refused, or tried too often. */
  async #held(calls: readonly ToolCall[], { verdict, diff }: Extract<Performed, { kind: 'held' }>): Promise<Next> {
    const { executor } = this.#parts;
    const { reason } = verdict;
    if (!this.#stillFires()) {
      await this.#resolve(CLEARED);
      return OVER;
    }
    const holds = (): boolean => this.#parts.watcher.detectors.holds(this.#finding);
    if (reason === CLEARING) return this.#watch({ kind: 'busy', reason, free: holds });
    const would = verdict.kind === 'shown' ? `would do: ${diff.join('; ')}; ` : '';
    this.#step('act', `${would}not done: ${reason}`, { verdict: verdict.kind });
    const back = (): string | undefined => this.#quiet() ?? executor.brakes.standing(calls);
    const isFinal = verdict.kind === 'refused' && verdict.final === true;
    if (verdict.kind === 'escalate' || isFinal) {
      if (await this.#handOver(reason)) return OVER;
      await this.#incidents.escalate(this.#incident, reason);
      if (isFinal) return OVER;
    }
    if (back() !== undefined) return this.#watch({ kind: 'held', back });
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
    this.#step('remember', `${tool} worked ${known.worked} of ${known.worked + known.failed} times on ${this.#incident.target}`);
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

  /** A service that other members declare too, and that cannot be mended here, runs there. @returns false where it is still here */
  async #handOver(reason: string): Promise<boolean> {
    const { placed, link } = this.#parts;
    if (!placed.isHere(this.#incident.target)) return false;
    this.#incident.state = 'acting'; // stopped here, it clears: that is not the end of it
    const handed = await placed.handOver(this.#incident.target, reason, (text) => this.#step('act', text));
    this.#incident.state = 'open';
    await this.#save();
    if (handed.kind === 'moved') await this.#resolve(`${this.#incident.target} runs on ${link.members.nameOf(handed.to)} now`);
    else if (handed.kind === 'nowhere')
      await this.#incidents.close(this.#incident, 'escalated', `${this.#incident.target} runs nowhere: a person must look`);
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

/** By which a remedy's record is kept. */
function toolsOf(calls: readonly ToolCall[]): string {
  return calls.map(({ tool }) => tool).join(', ');
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
