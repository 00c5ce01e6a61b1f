// The loop from a finding to its outcome: vote → decide → act → verify → remember. One incident a finding at a time;
// an attempt that did not help is followed by another after a pause, until the guard says that a person must look.
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import type { Claim } from '../../consensus/vote/claim.ts';
import { CLAIM_LIFE_MS, type VoteResult } from '../../consensus/vote/voting.ts';
import { encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import { Guard, type GuardVerdict } from '../action/guard.ts';
import { snapshotOf, toolOf } from '../action/tool.ts';
import {
  decodeJournalEntry,
  isOpen,
  JOURNAL_PREFIX,
  type JournalEntry,
  type TransactionInput,
  type TransactionNotice,
  Transactions,
} from '../action/transaction.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { type Decision, decide } from '../decision/decide.ts';
import type { Plan } from '../decision/plan.ts';
import { type Change, type Finding, findingKey } from '../detection/detector.ts';
import { addStep, closeIncident, type Incident, openIncident, type Stage, type Step } from '../detection/incident.ts';
import type { Memory } from '../memory/memory.ts';
import { verify } from '../verification/verify.ts';
import type { SwarmLink } from './swarm-link.ts';
import type { Watcher } from './watcher.ts';

/** Between an attempt that did not help and the next, times the number of attempts. */
const RETRY_PAUSE_MS = 5_000;
const MAX_JOURNAL = 1_000;

export interface HealerParts {
  ports: Ports;
  link: SwarmLink;
  watcher: Watcher;
  memory: Memory;
  audit: AuditLog;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

type TimerId = `check ${string}` | `timeout ${string}`;

export class Healer {
  readonly #parts: HealerParts;
  readonly #name: string;
  readonly #guard: Guard;
  readonly #open = new Map<string, Incident>();
  readonly #finished = new Map<string, (entry: JournalEntry) => void>();
  readonly #transactions: CoreRuntime<TransactionInput, never, TransactionNotice, TimerId>;
  #stopped = false;

  constructor(parts: HealerParts, name: string, mode: 'observe' | 'act') {
    this.#parts = parts;
    this.#name = name;
    this.#guard = new Guard(mode);
    const { clock, store } = parts.ports;
    this.#transactions = new CoreRuntime<TransactionInput, never, TransactionNotice, TimerId>(new Transactions(), {
      clock,
      store,
      send: () => undefined,
      broadcast: () => undefined,
      notice: (notice) => this.#transactionNotice(notice),
      failed: parts.failed,
    });
  }

  get openIncidents(): number {
    return this.#open.size;
  }

  /** Takes up what a crash left open: incidents are closed as interrupted, transactions are watched, never repeated. */
  async recover(): Promise<void> {
    const { ports, memory } = this.#parts;
    for (const incident of memory.incidents().filter(({ closedMs }) => closedMs === 0)) {
      closeIncident(incident, ports.clock.wallMs(), 'resolved', 'interrupted by a restart of the agent');
      await memory.save(incident);
    }
    for (const [, bytes] of await ports.store.range(JOURNAL_PREFIX, { limit: MAX_JOURNAL })) {
      const entry = decodeJournalEntry(bytes);
      if (entry !== undefined && isOpen(entry)) this.#transactions.post({ kind: 'recover', entry });
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#transactions.stop();
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
    const incident = openIncident(finding, link.self, this.#name, ports.clock.wallMs(), ports.crypto.hash);
    this.#open.set(key, incident);
    this.#step(incident, 'detect', `${finding.summary}: ${finding.target}`, finding.evidence);
    this.#parts.log('warn', `${incident.id}: ${finding.summary}: ${finding.target}`);
    await this.#parts.memory.save(incident);
    for (let attempt = 1; await this.#attempt(incident, finding, attempt); attempt++) {
      await new Promise<void>((resolve) => ports.clock.after(RETRY_PAUSE_MS * attempt, resolve));
      if (this.#stopped || incident.closedMs > 0) return;
      if (!this.#stillFires(finding))
        return this.#close(incident, 'resolved', 'cleared after an attempt that did not show to help');
    }
  }

  /** A finding that cleared by itself ends its incident; one that is being acted on ends with the action. */
  async #cleared(finding: Finding): Promise<void> {
    const incident = this.#open.get(findingKey(finding));
    if (incident === undefined || incident.state === 'acting') return;
    await this.#close(
      incident,
      'resolved',
      incident.state === 'escalated' ? 'cleared after it was escalated' : 'cleared without a repair',
    );
  }

  #stillFires(finding: Finding): boolean {
    return this.#parts.watcher.firing().some((other) => findingKey(other) === findingKey(finding));
  }

  /** One round of vote, decision and action. True: try again later. */
  async #attempt(incident: Incident, finding: Finding, attempt: number): Promise<boolean> {
    const result = await this.#vote(incident, finding);
    if (this.#stopped || incident.closedMs > 0) return false;
    const decision = await this.#decide(incident, finding, result);
    if (this.#stopped || incident.closedMs > 0) return false;
    if (decision.kind === 'watch')
      return attempt > 1 ? this.#escalate(incident, 'what was tried did not help') : this.#watch(incident);
    if (!this.#stillFires(finding)) {
      await this.#close(incident, 'resolved', 'cleared before it was acted on');
      return false;
    }
    return this.#act(incident, decision, attempt);
  }

  async #vote(incident: Incident, finding: Finding): Promise<VoteResult> {
    const { ports, link } = this.#parts;
    const nowMs = Math.round(ports.clock.wallMs());
    const claim: Claim = {
      subject: link.self,
      kind: finding.claim,
      target: finding.target.slice(0, 64),
      port: ports.actuator.services().find(({ name }) => name === finding.target)?.port,
      fromMs: nowMs,
      expiresAtMs: nowMs + CLAIM_LIFE_MS,
      evidenceDigest: ports.crypto.hash(encodeCbor([incident.id, JSON.stringify(finding.evidence)])),
    };
    const result = await link.vote(claim);
    if (result.certificate !== undefined) incident.certificate = toBase64(encodeCertificate(result.certificate));
    const asked = result.witnesses.length;
    const words = result.votes
      .map((vote) => `${link.nameOf(vote.witness)} ${vote.verdict} (${vote.reason}, ${vote.confidence} %)`)
      .join(', ');
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

  async #decide(incident: Incident, finding: Finding, result: VoteResult): Promise<Decision> {
    const { ports, memory, watcher } = this.#parts;
    const { policy, target, remedy } = finding;
    const record = memory.record(policy, target, remedy?.tool ?? '');
    const claimOutcome = result.witnesses.length === 0 ? 'unasked' : result.outcome;
    const decision = await decide({ policy, target, remedy, claimOutcome, record, features: watcher.features() }, ports.compute);
    const { tier, considered } = decision.routed;
    const abstained = considered
      .filter(({ answer }) => answer.kind === 'abstain')
      .map((one) => `${one.tier} abstained (${one.answer.reason})`);
    const what = decision.kind === 'act' ? `${decision.call.tool} ${decision.call.service}` : 'watch';
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

  async #act(incident: Incident, decision: Extract<Decision, { kind: 'act' }>, attempt: number): Promise<boolean> {
    const { ports } = this.#parts;
    const { call, reason } = decision;
    const service = ports.actuator.services().find(({ name }) => name === call.service);
    const verdict = this.#guard.admit(call, service, ports.clock.monotonicMs());
    incident.tool = call.tool;
    if (verdict.kind !== 'go' || service === undefined)
      return this.#held(incident, verdict, service === undefined ? [] : toolOf(call).dryRun(call, service));
    const plan: Plan = {
      id: `${incident.id}-${attempt}`,
      incident: incident.id,
      call,
      tier: decision.routed.tier ?? 'reactive',
      reason,
    };
    incident.state = 'acting';
    const diff = toolOf(call).dryRun(call, service).join('; ');
    const record = await this.#parts.audit.append('intent', plan.id, `${call.tool} ${call.service}: ${reason}`);
    this.#step(incident, 'act', `${call.tool} ${call.service}, attempt ${attempt}: ${diff}`, {
      plan: plan.id,
      audit: record.index,
      auditHash: toHex(record.hash),
    });
    await this.#parts.memory.save(incident);
    const entry = await this.#transact(plan, service);
    return this.#finishAttempt(incident, entry);
  }

  #transact(plan: Plan, service: Parameters<typeof snapshotOf>[0]): Promise<JournalEntry> {
    return new Promise((resolve) => {
      this.#finished.set(plan.id, resolve);
      this.#transactions.post({ kind: 'begin', plan, before: snapshotOf(service) });
    });
  }

  /** Not done: shown only, refused, or tried too often. */
  async #held(incident: Incident, verdict: GuardVerdict, diff: string[]): Promise<boolean> {
    const reason = verdict.kind === 'go' ? 'the service is gone' : verdict.reason;
    await this.#parts.audit.append('refused', incident.id, reason);
    this.#step(incident, 'act', `${verdict.kind === 'shown' ? `would do: ${diff.join('; ')}; ` : ''}not done: ${reason}`, {
      verdict: verdict.kind,
    });
    return verdict.kind === 'escalate' ? this.#escalate(incident, reason) : this.#watch(incident);
  }

  /** A person must look; the incident stays open until what is wrong clears. */
  async #escalate(incident: Incident, reason: string): Promise<boolean> {
    incident.state = 'escalated';
    incident.outcome = 'escalated: a person must look';
    this.#parts.log('warn', `${incident.id} is escalated: ${reason}`);
    await this.#parts.memory.save(incident);
    return false;
  }

  async #finishAttempt(incident: Incident, entry: JournalEntry): Promise<boolean> {
    const { memory, audit } = this.#parts;
    const worked = entry.phase === 'confirmed';
    const { call } = entry.plan;
    this.#step(incident, worked ? 'verify' : 'undo', worked ? `it helped: ${entry.reason}` : `${entry.phase}: ${entry.reason}`, {
      plan: entry.plan.id,
      phase: entry.phase,
    });
    const record = await audit.append('outcome', entry.plan.id, `${entry.phase}: ${entry.reason}`);
    const known = await memory.learn(incident.policy, incident.target, call.tool, worked);
    this.#step(
      incident,
      'remember',
      `${call.tool} worked ${known.worked} of ${known.worked + known.failed} times on ${incident.target}`,
      { audit: record.index, auditHash: toHex(record.hash) },
    );
    if (worked) {
      await this.#close(incident, 'resolved', `${call.tool} helped`);
      this.#parts.watcher.rearm(incident);
    } else {
      incident.state = 'open';
      await memory.save(incident);
    }
    return !worked;
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

  // The transaction's commands

  #transactionNotice(notice: TransactionNotice): void {
    const { plan, before } = notice.entry;
    const { actuator, sensors } = this.#parts.ports;
    const tool = toolOf(plan.call);
    const failed = (error: unknown) => ({
      ok: false as const,
      code: 'failed' as const,
      message: error instanceof Error ? error.message : String(error),
    });
    switch (notice.kind) {
      case 'apply':
        tool
          .apply(plan.call, before, actuator)
          .catch(failed)
          .then((outcome) => this.#transactions.post({ kind: 'applied', id: plan.id, outcome }));
        return;
      case 'check':
        verify(notice.entry, actuator, sensors).then(
          ({ holds, detail }) => this.#transactions.post({ kind: 'checked', id: plan.id, holds, detail }),
          (error: unknown) =>
            this.#transactions.post({ kind: 'checked', id: plan.id, holds: false, detail: failed(error).message }),
        );
        return;
      case 'undo': {
        const undo = tool.undo(plan.call, before, actuator);
        const undone = undo === undefined ? Promise.resolve(undefined) : undo().catch(failed);
        undone.then((outcome) => this.#transactions.post({ kind: 'undone', id: plan.id, outcome }));
        return;
      }
      case 'finished':
        this.#finish(notice.entry);
    }
  }

  /** To whoever waits for it; one that was recovered after a crash has nobody waiting but the audit. */
  #finish(entry: JournalEntry): void {
    const waiting = this.#finished.get(entry.plan.id);
    this.#finished.delete(entry.plan.id);
    if (waiting !== undefined) return waiting(entry);
    this.#parts.audit
      .append('outcome', entry.plan.id, `after a restart: ${entry.phase}: ${entry.reason}`)
      .catch(this.#parts.failed);
  }
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
