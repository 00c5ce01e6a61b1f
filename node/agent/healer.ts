// The loop from a finding to its outcome: vote → decide → act → verify → remember. One incident a finding at a time;
// an attempt that did not help is followed by another after a pause, until the guard says that a person must look.
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import { type Claim, claimTarget } from '../../consensus/vote/claim.ts';
import { CLAIM_LIFE_MS, type VoteResult } from '../../consensus/vote/voting.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import { describeCall } from '../action/tools.ts';
import { backoffMs } from '../decision/backoff.ts';
import { type Decision, decide } from '../decision/decide.ts';
import type { Plan } from '../decision/plan.ts';
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
} from '../detection/incident.ts';
import type { Memory } from '../memory/memory.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Executor, Performed } from './executor.ts';
import type { Permits } from './permits.ts';
import type { PlacedServices } from './placed-services.ts';
import type { SwarmLink } from './swarm-link.ts';
import type { Watcher } from './watcher.ts';

/** How soon the end of a silence is noticed. */
const SILENCE_CHECK_MS = 1_000;
/** How many of the newest incidents a new one may belong to. */
const MAX_RELATED = 50;

export interface HealerParts {
  ports: Ports;
  link: SwarmLink;
  watcher: Watcher;
  memory: Memory;
  executor: Executor;
  permits: Permits;
  placed: PlacedServices;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Healer {
  readonly #parts: HealerParts;
  readonly #open = new Map<string, Incident>();
  #stopped = false;

  constructor(parts: HealerParts) {
    this.#parts = parts;
  }

  get openIncidents(): number {
    return this.#open.size;
  }

  /** Incidents that a crash left open are closed as interrupted: what still holds is found anew. */
  async recover(): Promise<void> {
    const { ports, memory } = this.#parts;
    for (const incident of memory.incidents().filter(({ closedMs }) => closedMs === 0)) {
      closeIncident(incident, ports.clock.wallMs(), 'resolved', 'interrupted by a restart of the agent');
      await memory.save(incident);
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
    const incident = openIncident(finding, link.self, link.name, ports.clock.wallMs(), ports.crypto.hash);
    this.#open.set(key, incident);
    this.#step(incident, 'detect', `${finding.summary}: ${finding.target}`, finding.evidence);
    // Of the machine as a whole: who it is that keeps it busy.
    const wide = finding.claim === 'pressure' || finding.condition === 'Anomalous';
    const suspects = wide ? this.#parts.watcher.suspects() : '';
    if (suspects !== '') this.#step(incident, 'detect', suspects);
    this.#parts.log('warn', `${incident.id}: ${finding.summary}: ${finding.target}`);
    this.#group(incident);
    await this.#parts.memory.save(incident);
    await this.#parts.memory.record(incident.id, this.#parts.watcher.recording());
    const tried = new Map<string, number>();
    for (let attempt = 1; await this.#attempt(incident, finding, attempt, tried); attempt++) {
      tried.set(incident.tool, (tried.get(incident.tool) ?? 0) + 1);
      const pauseMs = backoffMs(this.#parts.memory.remedyRecord(finding.policy, finding.target, incident.tool), attempt);
      await new Promise<void>((resolve) => ports.clock.after(pauseMs, resolve));
      if (this.#stopped || incident.closedMs > 0) return;
      if (!this.#stillFires(finding))
        return this.#close(incident, 'resolved', 'cleared after an attempt that did not show to help');
    }
  }

  /** With what opened just before, where they belong together. */
  #group(incident: Incident): void {
    const recent = this.#parts.memory
      .incidents()
      .filter((other) => other.id !== incident.id)
      .slice(-MAX_RELATED);
    for (const earlier of recent) {
      const why = relation(earlier, incident);
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

  /** A silenced finding is told and explained, and nothing is done about it until the silence ends; nor while the swarm has paused this agent. */
  async #waitOutSilence(incident: Incident, finding: Finding): Promise<void> {
    const { clock } = this.#parts.ports;
    const { policy, target } = finding;
    const covering = () =>
      this.#parts.executor.silences.covering(policy, target, clock.wallMs()) ??
      this.#parts.link.order.decisions.state.silenceOn(policy, target, clock.wallMs());
    const paused = () => this.#parts.executor.paused;
    const silence = covering();
    if (silence === undefined && paused() === undefined) return;
    incident.state = 'watching';
    if (silence === undefined) this.#step(incident, 'decide', `nothing is done: ${paused()}`);
    else
      this.#step(incident, 'decide', `silenced: ${silence.reason}`, {
        silence: silence.id,
        untilMs: Math.round(silence.untilMs),
      });
    await this.#parts.memory.save(incident);
    while ((covering() ?? paused()) !== undefined && !this.#stopped && incident.closedMs === 0) {
      await new Promise<void>((resolve) => clock.after(SILENCE_CHECK_MS, resolve));
    }
  }

  /** One round of vote, decision and action, once no silence covers it. True: try again later. */
  async #attempt(incident: Incident, finding: Finding, attempt: number, tried: ReadonlyMap<string, number>): Promise<boolean> {
    await this.#waitOutSilence(incident, finding);
    if (this.#stopped || incident.closedMs > 0) return false;
    const result = await this.#vote(incident, finding);
    if (this.#stopped || incident.closedMs > 0) return false;
    const decision = await this.#decide(incident, finding, result, tried);
    if (this.#stopped || incident.closedMs > 0) return false;
    if (decision.kind === 'watch') {
      if (attempt > 1) return this.#escalate(incident, 'what was tried did not help');
      // A remedy is known, and no tier trusts it, by how it did before: then somebody must look.
      const unsure = decision.routed.tier === undefined && finding.remedies.length > 0;
      return unsure ? this.#escalate(incident, 'no tier is sure enough of what the policy declares') : this.#watch(incident);
    }
    if (!this.#stillFires(finding)) {
      await this.#close(incident, 'resolved', 'cleared before it was acted on');
      return false;
    }
    return this.#act(incident, finding, decision, attempt);
  }

  /** What is wrong, as of now. */
  #claimOf(incident: Incident, finding: Finding): Claim {
    const { ports, link } = this.#parts;
    const nowMs = Math.round(ports.clock.wallMs());
    return {
      subject: link.self,
      kind: finding.claim,
      target: claimTarget(finding.target, ports.crypto.hash),
      port: ports.actuator.services().find(({ name }) => name === finding.target)?.port,
      fromMs: nowMs,
      expiresAtMs: nowMs + CLAIM_LIFE_MS,
      evidenceDigest: ports.crypto.hash(encodeCbor([incident.id, JSON.stringify(finding.evidence)])),
    };
  }

  async #vote(incident: Incident, finding: Finding): Promise<VoteResult> {
    const { link } = this.#parts;
    const result = await link.vote(this.#claimOf(incident, finding));
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
    await this.#parts.memory.save(incident);
    return result;
  }

  #words({ votes }: VoteResult): string {
    return votes
      .map((vote) => `${this.#parts.link.nameOf(vote.witness)} ${vote.verdict} (${vote.reason}, ${vote.confidence} %)`)
      .join(', ');
  }

  /** @param tried how often each remedy was tried in this incident, by its tools. */
  async #decide(incident: Incident, finding: Finding, result: VoteResult, tried: ReadonlyMap<string, number>): Promise<Decision> {
    const { ports, memory, watcher } = this.#parts;
    const { policy, target } = finding;
    const found = watcher.firing().find((other) => findingKey(other) === findingKey(finding)) ?? finding;
    const remedies = found.remedies.map((calls) => {
      const tools = toolsOf(calls);
      return {
        calls,
        record: memory.remedyRecord(policy, target, tools),
        similar: memory.cases.similar(policy, target, tools, watcher.features()),
        triedNow: tried.get(tools) ?? 0,
      };
    });
    const claimOutcome = result.witnesses.length === 0 ? 'unasked' : result.outcome;
    const decision = await decide({ policy, target, remedies, claimOutcome, features: watcher.features() }, ports.compute);
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
    await memory.save(incident);
    return decision;
  }

  async #watch(incident: Incident): Promise<boolean> {
    incident.state = 'watching';
    await this.#parts.memory.save(incident);
    return false;
  }

  async #act(
    incident: Incident,
    finding: Finding,
    decision: Extract<Decision, { kind: 'act' }>,
    attempt: number,
  ): Promise<boolean> {
    const { memory } = this.#parts;
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
      permitted: async (permit, votes) => {
        incident.certificate = this.#parts.permits.encoded(permit);
        const approved = permit.approvals.map(({ id, reason: why }) => `${why} (${id.slice(0, 8)})`).join(', ');
        const who =
          votes === undefined
            ? `a standing approval allows it: ${approved}`
            : `its witnesses and the swarm allow it: ${this.#words(votes)}`;
        const claimed = votes && { claim: votes.claimId, outcome: votes.outcome };
        this.#step(incident, 'vote', `${who}; lease ${permit.fence}`, { ...claimed, lease: permit.lease });
        await memory.save(incident);
      },
      unpermitted: (reason) => this.#step(incident, 'vote', `a person has to allow it: ${reason}`),
      asked: async (diff) => {
        incident.state = 'waiting';
        this.#step(incident, 'act', `waits for approval (kalos approve ${id}): ${diff.join('; ')}`, { plan: id });
        await memory.save(incident);
      },
      intended: async (diff, record) => {
        incident.state = 'acting';
        this.#step(incident, 'act', `${calls.map(describeCall).join(', ')}, attempt ${attempt}: ${diff.join('; ')}`, {
          plan: id,
          audit: record.index,
        });
        await memory.save(incident);
      },
    });
    if (incident.closedMs > 0) return false; // it cleared while a person thought about it
    return performed.kind === 'held' ? this.#held(incident, performed) : this.#finishAttempt(incident, performed);
  }

  /** Not done: shown only, refused, or tried too often. */
  async #held(incident: Incident, { verdict, diff }: Extract<Performed, { kind: 'held' }>): Promise<boolean> {
    const would = verdict.kind === 'shown' ? `would do: ${diff.join('; ')}; ` : '';
    this.#step(incident, 'act', `${would}not done: ${verdict.reason}`, { verdict: verdict.kind });
    if (verdict.kind === 'escalate')
      return (await this.#handOver(incident, verdict.reason)) ? false : this.#escalate(incident, verdict.reason);
    await this.#watch(incident);
    if (verdict.kind !== 'refused' || verdict.later !== true) return false;
    incident.tool = ''; // nothing was tried
    return true;
  }

  /** A person must look; the incident stays open until what is wrong clears. */
  async #escalate(incident: Incident, reason: string): Promise<boolean> {
    escalate(incident);
    this.#parts.log('warn', `${incident.id} is escalated: ${reason}`);
    await this.#parts.memory.save(incident);
    return false;
  }

  async #finishAttempt(incident: Incident, { entry, record }: Extract<Performed, { kind: 'done' }>): Promise<boolean> {
    const { memory } = this.#parts;
    const worked = entry.phase === 'confirmed';
    const { id, calls } = entry.plan;
    const tool = toolsOf(calls);
    const text = worked ? `it helped: ${entry.reason}` : `${entry.phase}: ${entry.reason}`;
    this.#step(incident, worked ? 'verify' : 'undo', text, { plan: id, phase: entry.phase, audit: record.index });
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
      await memory.save(incident);
      if (await this.#handOver(incident, `${tool} did not help on ${this.#parts.link.name}`)) return false;
    }
    return !worked;
  }

  /** A service that other members declare too, and that cannot be mended here, runs there. @returns false where it is still here */
  async #handOver(incident: Incident, reason: string): Promise<boolean> {
    const { placed, link, memory } = this.#parts;
    if (!placed.isHere(incident.target)) return false;
    incident.state = 'acting'; // stopped here, it clears: that is not the end of it
    const handed = await placed.handOver(incident.target, reason, (text) => this.#step(incident, 'act', text));
    incident.state = 'open';
    await memory.save(incident);
    if (handed.kind === 'moved')
      await this.#close(incident, 'resolved', `${incident.target} runs on ${link.nameOf(handed.to)} now`);
    else if (handed.kind === 'nowhere')
      await this.#close(incident, 'escalated', `${incident.target} runs nowhere: a person must look`);
    return handed.kind !== 'kept';
  }

  async #close(incident: Incident, state: 'resolved' | 'escalated', outcome: string): Promise<void> {
    this.#open.delete(findingKey(incident));
    closeIncident(incident, this.#parts.ports.clock.wallMs(), state, outcome);
    this.#parts.log('info', `${incident.id}: ${outcome}`);
    await this.#parts.memory.save(incident);
  }

  #step(incident: Incident, stage: Stage, text: string, data?: Step['data']): void {
    addStep(incident, this.#parts.ports.clock.wallMs(), stage, text, data);
  }
}

/** By which a remedy's record is kept. */
function toolsOf(calls: readonly ToolCall[]): string {
  return calls.map(({ tool }) => tool).join(', ');
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
