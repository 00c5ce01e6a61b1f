// The loop from a finding to its outcome: vote → decide → act → verify → remember. One incident a finding at a time. It repeats
// while the finding lasts: an attempt that did not help is followed by another after a pause, an incident that a brake stops is
// tried again as soon as no brake is left, one that witnesses refute is judged again; and one that is neither being repaired nor
// waiting for a person is escalated after a while.
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import { type Claim, claimTarget, type RemoteCheck } from '../../consensus/vote/claim.ts';
import { CLAIM_LIFE_MS, type VoteResult } from '../../consensus/vote/voting.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { describeCall } from '../action/tools.ts';
import { wasRefused } from '../action/transaction.ts';
import type { PlacedServices } from '../coordination/placed-services.ts';
import { backoffMs } from '../decision/backoff.ts';
import { type Decision, decide } from '../decision/decide.ts';
import type { Plan } from '../decision/plan.ts';
import type { Decisions } from '../decisions/decisions.ts';
import { type Change, type Finding, findingKey } from '../detection/detector.ts';
import {
  addStep,
  closeIncident,
  escalate,
  type Incident,
  openIncident,
  relation,
  type Stage,
  type Step,
  TOGETHER_MS,
} from '../detection/incident.ts';
import type { SwarmLink } from '../link/swarm-link.ts';
import type { Memory } from '../memory/memory.ts';
import type { Ports } from '../ports/ports.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Executor, Performed } from './executor.ts';
import type { Permits } from './permits.ts';
import type { Stories } from './stories.ts';
import type { Watcher } from './watcher.ts';

/** How often brakes are checked. */
const LOOK_EVERY_MS = 1_000;
/** An incident that is open for so long, and neither being repaired nor with a person, is escalated. */
export const TELL_AFTER_MS = 90_000;
/** After which what is watched is judged again: each time later. */
const JUDGE_AGAIN_MS = [15_000, 15_000, 30_000, 60_000, 120_000, 300_000] as const;
/** What did not help is tried once more after this, and each time later: a circuit breaker, half open. */
const TRIAL_AFTER_MS = 60_000;
const MAX_TRIAL_AFTER_MS = 1_800_000;
/** Others come first: asked again as soon as one of them is done, but each time no sooner than this later, or after the longest. */
const BUSY_MS = 2_000;
const MAX_BUSY_MS = 20_000;
/** How many of the newest incidents a new one may belong to. */
const MAX_RELATED = 50;

export interface HealerParts {
  ports: Ports;
  link: SwarmLink;
  decisions: Decisions;
  watcher: Watcher;
  memory: Memory;
  stories: Stories;
  executor: Executor;
  permits: Permits;
  placed: PlacedServices;
  /** The declared check of a service, where others can run it. */
  checkOf(service: string): RemoteCheck | undefined;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
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

/** What was tried in an incident, in vain. */
interface Tried {
  /** Witnesses and tiers have been asked once. */
  judged: boolean;
  /** How often each remedy, by its tools. */
  tools: Map<string, number>;
  /** Plans that were made, carried out or not: each has an id of its own. */
  attempts: number;
  /** When last; at first, when the incident was opened. */
  lastMs: number;
  /** Trials that the breaker let through, and were carried out. */
  trials: number;
  isTrial: boolean;
}

const OVER: Next = { kind: 'over' };
const CLEARED = 'cleared before it was acted on';
/** It fires until that has lasted. */
const CLEARING = 'it is not so any more';

export class Healer {
  readonly #parts: HealerParts;
  readonly #open = new Map<string, Incident>();
  /** When each opened, monotonic: its story is dated from there, so that a clock that is set meanwhile does not tear it apart. */
  readonly #openedMs = new WeakMap<Incident, number>();
  /** Those of the last minute, and when they opened; monotonic. */
  #recent: { incident: Incident; openedMs: number }[] = [];
  #stopped = false;

  constructor(parts: HealerParts) {
    this.#parts = parts;
  }

  get openIncidents(): number {
    return this.#open.size;
  }

  /** Incidents that a crash left open are closed as interrupted: what still holds is found again. */
  async recover(): Promise<void> {
    const { ports, memory } = this.#parts;
    const [nowMs, wallMs] = [ports.clock.monotonicMs(), ports.clock.wallMs()];
    for (const incident of memory.incidents().slice(-MAX_RELATED)) {
      const ageMs = wallMs - incident.openedMs;
      if (ageMs >= 0 && ageMs <= TOGETHER_MS) this.#recent.push({ incident, openedMs: nowMs - ageMs });
    }
    for (const incident of memory.incidents().filter(({ closedMs }) => closedMs === 0)) {
      closeIncident(incident, ports.clock.wallMs(), 'resolved', 'interrupted by a restart of the agent');
      await this.#save(incident);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  onChanges(changes: readonly Change[]): void {
    for (const { kind, finding } of changes) {
      const work = kind === 'fired' ? this.#fired(finding) : this.#cleared(finding);
      work.catch(this.#parts.failed);
    }
  }

  async #fired(finding: Finding): Promise<void> {
    const { ports, link } = this.#parts;
    const key = findingKey(finding);
    if (this.#open.has(key) || this.#stopped) return;
    const incident = openIncident(finding, link.members.self, link.admission.name, ports.clock.wallMs(), ports.crypto.hash);
    this.#open.set(key, incident);
    this.#openedMs.set(incident, ports.clock.monotonicMs());
    this.#step(incident, 'detect', `${finding.summary}: ${finding.target}`, finding.evidence);
    // Of the machine as a whole: who it is that keeps it busy.
    const wide = finding.claim === 'pressure' || finding.condition === 'Anomalous';
    const suspects = wide ? this.#parts.watcher.suspects() : '';
    if (suspects !== '') this.#step(incident, 'detect', suspects);
    this.#parts.log('warn', `${incident.id}: ${finding.summary}: ${finding.target}`);
    this.#group(incident);
    await this.#save(incident);
    await this.#parts.memory.record(incident.id, this.#parts.watcher.recording());
    await this.#goRound(incident, finding);
  }

  /** Until it is over, or clears. */
  async #goRound(incident: Incident, finding: Finding): Promise<void> {
    const openedMs = this.#parts.ports.clock.monotonicMs();
    const tried: Tried = { judged: false, tools: new Map(), attempts: 0, lastMs: openedMs, trials: 0, isTrial: false };
    /** In a row. */
    let [judged, busy] = [0, 0];
    for (;;) {
      const next = await this.#attempt(incident, finding, tried);
      if (next.kind === 'over' || this.#isOver(incident)) return;
      judged = next.kind === 'watched' ? judged + 1 : 0;
      busy = next.kind === 'busy' ? busy + 1 : 0;
      if (next.kind === 'again') {
        tried.tools.set(incident.tool, (tried.tools.get(incident.tool) ?? 0) + 1);
        tried.lastMs = this.#parts.ports.clock.monotonicMs();
        if (tried.isTrial) tried.trials++; // what was held back, or gave way to others, was none
      }
      const atLeastMs = Math.min(busy * BUSY_MS, MAX_BUSY_MS);
      await this.#wait(incident, openedMs, next, atLeastMs, this.#pauseMs(incident, finding, next, judged, tried.attempts));
      if (this.#isOver(incident)) return;
      if (!this.#stillFires(finding))
        return this.#close(incident, 'resolved', 'cleared after an attempt that did not show to help');
    }
  }

  #isOver(incident: Incident): boolean {
    return this.#stopped || incident.closedMs > 0;
  }

  #pauseMs({ tool }: Incident, { policy, target }: Finding, next: Next, judged: number, attempt: number): number {
    switch (next.kind) {
      case 'again':
        return backoffMs(this.#parts.memory.remedyRecord(policy, target, tool), attempt);
      case 'busy':
        return MAX_BUSY_MS;
      case 'watched':
        return JUDGE_AGAIN_MS[Math.min(judged, JUDGE_AGAIN_MS.length) - 1] ?? 0;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** For the time, or until nothing is in the way; tells a person where it has been open for long. */
  async #wait(incident: Incident, openedMs: number, next: Next, atLeastMs: number, pauseMs: number): Promise<void> {
    const { clock } = this.#parts.ports;
    const startMs = clock.monotonicMs();
    while (!this.#isOver(incident)) {
      const waitedMs = clock.monotonicMs() - startMs;
      const leftMs = pauseMs - waitedMs;
      const isFree = next.kind === 'held' ? next.back() === undefined : next.kind === 'busy' && next.free();
      if (leftMs <= 0 || (isFree && waitedMs >= atLeastMs)) return;
      if (clock.monotonicMs() - openedMs >= TELL_AFTER_MS) await this.#tellLate(incident, next);
      await new Promise<void>((resolve) => clock.after(Math.max(1, Math.min(LOOK_EVERY_MS, leftMs)), resolve));
    }
  }

  /** Escalates what is still open, except what a person has silenced and findings of severity `info`. */
  async #tellLate(incident: Incident, next: Next): Promise<void> {
    const isTold = incident.state === 'escalated' || incident.state === 'waiting';
    if (isTold || incident.severity === 'info' || this.#silence(incident) !== undefined) return;
    const reason = next.kind === 'held' ? next.back() : next.kind === 'again' ? 'what was tried did not help' : next.kind;
    await this.#escalate(
      incident,
      next.kind === 'watched' || next.kind === 'busy' ? next.reason : (reason ?? 'it is still open'),
    );
  }

  /** With what opened just before, where they belong together. */
  #group(incident: Incident): void {
    const nowMs = this.#parts.ports.clock.monotonicMs();
    this.#recent = this.#recent.filter(({ openedMs }) => nowMs - openedMs <= TOGETHER_MS).slice(-MAX_RELATED);
    const before = this.#recent;
    this.#recent = [...before, { incident, openedMs: nowMs }];
    for (const { incident: earlier, openedMs } of before) {
      const why = relation(earlier, incident, nowMs - openedMs);
      if (why === undefined) continue;
      incident.cause = earlier.cause === '' ? earlier.id : earlier.cause;
      this.#step(incident, 'detect', `belongs to ${incident.cause}: ${why}`);
      return;
    }
  }

  /** A finding that cleared by itself ends its incident; one that is being acted on ends with the action. */
  async #cleared(finding: Finding): Promise<void> {
    const incident = this.#open.get(findingKey(finding));
    if (incident === undefined || incident.state === 'acting') return;
    this.#parts.executor.withdraw(incident.id);
    await this.#close(
      incident,
      'resolved',
      incident.state === 'escalated' ? 'cleared after it was escalated' : 'cleared without a repair',
    );
  }

  #stillFires(finding: Finding): boolean {
    return this.#parts.watcher.firing().some((other) => findingKey(other) === findingKey(finding));
  }

  /** In words, the silence that covers a finding; undefined where none does. */
  #silence({ policy, target }: Pick<Finding, 'policy' | 'target'>): string | undefined {
    const silence =
      this.#parts.executor.silences.covering(policy, target) ??
      this.#parts.decisions.state.silenceOn(policy, target, this.#parts.decisions.wallMs());
    return silence && `silenced: ${silence.reason} (${silence.id})`;
  }

  /** A silenced finding is told and explained, and nothing is done about it; nor while the swarm has paused this agent. */
  #quiet(finding: Finding): string | undefined {
    return this.#silence(finding) ?? this.#parts.executor.paused;
  }

  /** One round of vote, decision and action. */
  async #attempt(incident: Incident, finding: Finding, tried: Tried): Promise<Next> {
    const quiet = this.#quiet(finding);
    if (quiet !== undefined) {
      this.#step(incident, 'decide', `nothing is done: ${quiet}`);
      return this.#watch(incident, { kind: 'held', back: () => this.#quiet(finding) });
    }
    if (tried.judged && this.#remediesOf(finding).length === 0)
      return this.#watch(incident, { kind: 'watched', reason: 'no remedy is known for it' }); // nobody is asked again
    tried.judged = true;
    const result = await this.#vote(incident, finding);
    if (this.#isOver(incident)) return OVER;
    const decision = await this.#decide(incident, finding, result, tried);
    if (this.#isOver(incident)) return OVER;
    if (decision.kind === 'watch') return this.#leave(incident, finding, decision, tried.tools.size > 0);
    if (!this.#stillFires(finding)) {
      await this.#close(incident, 'resolved', CLEARED);
      return OVER;
    }
    return this.#act(incident, finding, decision, ++tried.attempts);
  }

  /** It is not acted on; judged again later, for witnesses may see it then, and remedies may be known. */
  async #leave(incident: Incident, finding: Finding, { routed, reason }: Decision, wasTried: boolean): Promise<Next> {
    // A remedy is known, and no tier trusts it, by how it did before: then somebody must look.
    const unsure = routed.tier === undefined && finding.remedies.length > 0;
    if (wasTried || unsure) {
      const why = wasTried ? 'what was tried did not help' : 'no tier is confident enough in what the policy declares';
      await this.#escalate(incident, why);
    }
    return this.#watch(incident, { kind: 'watched', reason });
  }

  /** What is wrong, as of now. */
  #claimOf(incident: Incident, finding: Finding): Claim {
    const { ports, link } = this.#parts;
    const nowMs = link.time.claimMs();
    return {
      subject: link.members.self,
      kind: finding.claim,
      target: claimTarget(finding.target, ports.crypto.hash),
      port: ports.actuator.services().find(({ name }) => name === finding.target)?.port,
      check: finding.claim === 'service-unresponsive' ? this.#parts.checkOf(finding.target) : undefined,
      fromMs: nowMs,
      expiresAtMs: nowMs + CLAIM_LIFE_MS,
      evidenceDigest: ports.crypto.hash(encodeCbor([incident.id, JSON.stringify(finding.evidence)])),
    };
  }

  async #vote(incident: Incident, finding: Finding): Promise<VoteResult> {
    const { link } = this.#parts;
    const result = await link.ballots.vote(this.#claimOf(incident, finding), link.selection.witnesses());
    if (result.certificate !== undefined) incident.certificate = toBase64(encodeCertificate(result.certificate));
    const asked = result.witnesses.length;
    const words = this.#words(result);
    const text =
      asked === 0
        ? 'no witness to ask: this machine is alone'
        : `${result.outcome} by ${asked} witnesses: ${words || 'no answer in time'}`;
    this.#step(incident, 'vote', text, {
      claim: result.claimId,
      outcome: asked === 0 ? 'unasked' : result.outcome,
      votes: result.votes.length,
      asked,
    });
    await this.#save(incident);
    return result;
  }

  #words({ votes }: VoteResult): string {
    return votes
      .map((vote) => `${this.#parts.link.members.nameOf(vote.witness)} ${vote.verdict} (${vote.reason}, ${vote.confidence} %)`)
      .join(', ');
  }

  /** As things are now. */
  #remediesOf(finding: Finding): Finding['remedies'] {
    const found = this.#parts.watcher.firing().find((other) => findingKey(other) === findingKey(finding)) ?? finding;
    return found.remedies;
  }

  #isTrial({ lastMs, trials }: Tried): boolean {
    const afterMs = Math.min(TRIAL_AFTER_MS * 2 ** trials, MAX_TRIAL_AFTER_MS);
    return this.#parts.ports.clock.monotonicMs() - lastMs >= afterMs;
  }

  async #decide(incident: Incident, finding: Finding, result: VoteResult, tried: Tried): Promise<Decision> {
    const { ports, memory, watcher } = this.#parts;
    const { policy, target } = finding;
    const remedies = this.#remediesOf(finding).map((calls) => {
      const tools = toolsOf(calls);
      return {
        calls,
        record: memory.remedyRecord(policy, target, tools),
        similar: memory.cases.similar(policy, target, tools, watcher.features()),
        triedNow: tried.tools.get(tools) ?? 0,
      };
    });
    const claimOutcome = result.witnesses.length === 0 ? 'unasked' : result.outcome;
    const isTrial = this.#isTrial(tried);
    const decision = await decide(
      { policy, target, remedies, claimOutcome, features: watcher.features(), isTrial },
      ports.compute,
    );
    tried.isTrial = isTrial && decision.kind === 'act';
    const { tier, considered } = decision.routed;
    const abstained = considered
      .filter(({ answer }) => answer.kind === 'abstain')
      .map((one) => `${one.tier} abstained (${one.answer.reason})`);
    const what = decision.kind === 'act' ? decision.calls.map(describeCall).join(', ') : 'watch';
    const text = [`${what}, by the ${tier ?? 'safest'} tier: ${decision.reason}`, ...abstained].join('; ');
    this.#step(incident, 'decide', text, {
      tier: tier ?? 'none',
      what,
      confidence: decision.routed.answer.kind === 'abstain' ? 0 : decision.routed.answer.confidence,
    });
    await this.#save(incident);
    return decision;
  }

  /** A person who was told stays so. */
  async #watch(incident: Incident, next: Next): Promise<Next> {
    if (incident.state !== 'escalated') incident.state = 'watching';
    await this.#save(incident);
    return next;
  }

  async #act(incident: Incident, finding: Finding, decision: Extract<Decision, { kind: 'act' }>, attempt: number): Promise<Next> {
    const { calls, reason } = decision;
    const id = `${incident.id}-${attempt}`;
    const plan: Plan = { id, incident: incident.id, calls, tier: decision.routed.tier ?? 'reactive', reason };
    incident.tool = toolsOf(calls);
    const performed = await this.#parts.executor.perform(plan, 'policy', {
      stillWrong: () => {
        const holds = this.#parts.watcher.holds(incident);
        if (holds) this.#parts.watcher.lookAgain();
        return holds ? incident.summary : undefined;
      },
      claim: () => this.#claimOf(incident, finding),
      // Witnesses, the swarm's order and the disk take their time: it may be well by then.
      unchanged: () => {
        if (this.#isOver(incident) || !this.#stillFires(finding)) return CLEARED;
        return this.#parts.watcher.holds(finding) ? undefined : CLEARING;
      },
      permitted: async (permit, votes) => {
        incident.certificate = this.#parts.permits.encoded(permit);
        const approved = permit.approvals.map(({ id, reason: why }) => `${why} (${id.slice(0, 8)})`).join(', ');
        const who =
          votes === undefined
            ? `a standing approval allows it: ${approved}`
            : `its witnesses and the swarm allow it: ${this.#words(votes)}`;
        const claimed = votes && { claim: votes.claimId, outcome: votes.outcome };
        this.#step(incident, 'vote', `${who}; lease ${permit.fence}`, { ...claimed, lease: permit.lease });
        await this.#save(incident);
      },
      unpermitted: (reason) => this.#step(incident, 'vote', `a person has to allow it: ${reason}`),
      asked: async (diff) => {
        incident.state = 'waiting';
        this.#step(incident, 'act', `waits for approval (kalos approve ${id}): ${diff.join('; ')}`, { plan: id });
        await this.#save(incident);
      },
      intended: async (diff, record) => {
        if (this.#isOver(incident)) return;
        incident.state = 'acting';
        this.#step(incident, 'act', `${calls.map(describeCall).join(', ')}, attempt ${attempt}: ${diff.join('; ')}`, {
          plan: id,
          audit: record.index,
        });
        await this.#save(incident);
      },
    });
    if (this.#isOver(incident)) return OVER; // it cleared while a person thought about it
    return performed.kind === 'held' ? this.#held(incident, finding, calls, performed) : this.#finishAttempt(incident, performed);
  }

  /** Not done: shown only, refused, or tried too often. */
  async #held(
    incident: Incident,
    finding: Finding,
    calls: readonly ToolCall[],
    { verdict, diff }: Extract<Performed, { kind: 'held' }>,
  ): Promise<Next> {
    const { executor } = this.#parts;
    const { reason } = verdict;
    if (!this.#stillFires(finding)) {
      await this.#close(incident, 'resolved', CLEARED);
      return OVER;
    }
    const holds = (): boolean => this.#parts.watcher.holds(finding);
    if (reason === CLEARING) return this.#watch(incident, { kind: 'busy', reason, free: holds });
    const would = verdict.kind === 'shown' ? `would do: ${diff.join('; ')}; ` : '';
    this.#step(incident, 'act', `${would}not done: ${reason}`, { verdict: verdict.kind });
    const back = (): string | undefined => this.#quiet(finding) ?? executor.brake(calls);
    const isFinal = verdict.kind === 'refused' && verdict.final === true;
    if (verdict.kind === 'escalate' || isFinal) {
      if (await this.#handOver(incident, reason)) return OVER;
      await this.#escalate(incident, reason);
      if (isFinal) return OVER;
    }
    if (back() !== undefined) return this.#watch(incident, { kind: 'held', back });
    if (verdict.kind !== 'refused' || verdict.later !== true)
      return this.#watch(incident, { kind: 'watched', reason: `not done: ${reason}` });
    incident.tool = ''; // nothing was tried
    const free = (): boolean => !executor.isTaken(calls) && this.#parts.permits.mayLease();
    return this.#watch(incident, { kind: 'busy', reason: `not done: ${reason}`, free });
  }

  /** A person must look; the incident stays open until what is wrong clears. */
  async #escalate(incident: Incident, reason: string): Promise<void> {
    if (incident.state === 'escalated') return;
    escalate(incident);
    this.#step(incident, 'decide', `a person must look: ${reason}`);
    this.#parts.log('warn', `${incident.id} is escalated: ${reason}`);
    await this.#save(incident);
  }

  async #finishAttempt(incident: Incident, { entry, record }: Extract<Performed, { kind: 'done' }>): Promise<Next> {
    const { memory } = this.#parts;
    const worked = entry.phase === 'confirmed';
    const { id, calls } = entry.plan;
    const tool = toolsOf(calls);
    const text = worked ? `it helped: ${entry.reason}` : `${entry.phase}: ${entry.reason}`;
    this.#step(incident, worked ? 'verify' : 'undo', text, { plan: id, phase: entry.phase, audit: record.index });
    if (wasRefused(entry)) return this.#watch(incident, { kind: 'watched', reason: `not done: ${entry.reason}` });
    const known = await memory.learn(incident.policy, incident.target, tool, worked);
    const features = this.#parts.watcher.features() ?? [];
    const { policy, target } = incident;
    const atMs = this.#parts.ports.clock.wallMs();
    await memory.cases.learn({
      id,
      incident: incident.id,
      policy,
      target,
      tools: tool,
      plan: calls.map(describeCall).join(', '),
      worked,
      atMs,
      features,
    });
    this.#step(
      incident,
      'remember',
      `${tool} worked ${known.worked} of ${known.worked + known.failed} times on ${incident.target}`,
    );
    if (worked) {
      await this.#close(incident, 'resolved', `${tool} helped`);
      this.#parts.watcher.rearm(incident);
    } else {
      incident.state = 'open';
      await this.#save(incident);
      if (await this.#handOver(incident, `${tool} did not help on ${this.#parts.link.admission.name}`)) return OVER;
    }
    return worked ? OVER : { kind: 'again' };
  }

  /** A service that other members declare too, and that cannot be mended here, runs there. @returns false where it is still here */
  async #handOver(incident: Incident, reason: string): Promise<boolean> {
    const { placed, link } = this.#parts;
    if (!placed.isHere(incident.target)) return false;
    incident.state = 'acting'; // stopped here, it clears: that is not the end of it
    const handed = await placed.handOver(incident.target, reason, (text) => this.#step(incident, 'act', text));
    incident.state = 'open';
    await this.#save(incident);
    if (handed.kind === 'moved')
      await this.#close(incident, 'resolved', `${incident.target} runs on ${link.members.nameOf(handed.to)} now`);
    else if (handed.kind === 'nowhere')
      await this.#close(incident, 'escalated', `${incident.target} runs nowhere: a person must look`);
    return handed.kind !== 'kept';
  }

  async #close(incident: Incident, state: 'resolved' | 'escalated', outcome: string): Promise<void> {
    this.#open.delete(findingKey(incident));
    closeIncident(incident, this.#date(incident), state, outcome);
    this.#parts.log('info', `${incident.id}: ${outcome}`);
    await this.#save(incident);
  }

  /** Kept here, and told to witnesses, who answer for it when this machine is gone. */
  #save(incident: Incident): Promise<void> {
    this.#parts.stories.tell(incident);
    return this.#parts.memory.save(incident);
  }

  #step(incident: Incident, stage: Stage, text: string, data?: Step['data']): void {
    addStep(incident, this.#date(incident), stage, text, data);
  }

  #date(incident: Incident): number {
    const { clock } = this.#parts.ports;
    const openedMs = this.#openedMs.get(incident);
    return openedMs === undefined ? clock.wallMs() : incident.openedMs + clock.monotonicMs() - openedMs;
  }
}

/** By which a remedy's record is kept. */
function toolsOf(calls: readonly ToolCall[]): string {
  return calls.map(({ tool }) => tool).join(', ');
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
