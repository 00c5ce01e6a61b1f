// The open incidents of this machine, one a finding at a time: opened, dated, grouped with incidents that opened just before, escalated and
// closed here. Each change is stored, and reported to witnesses.
import { type Finding, findingKey } from '../detection/detector.ts';
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
import type { Reporter } from '../reporter.ts';
import type { Stories } from './stories.ts';

/** How many of the newest incidents a new one may be grouped with. */
const MAX_RELATED = 50;

export interface IncidentParts {
  ports: Ports;
  link: SwarmLink;
  memory: Memory;
  stories: Stories;
  reporter: Reporter;
}

export class OpenIncidents {
  readonly #parts: IncidentParts;
  readonly #open = new Map<string, Incident>();
  /** When each opened, monotonic: its steps are dated from there, so that a change of the wall clock does not reorder them. */
  readonly #openedMs = new WeakMap<Incident, number>();
  /** Incidents of the last minute, and when they opened; monotonic. */
  #recent: { incident: Incident; openedMs: number }[] = [];
  #stopped = false;

  constructor(parts: IncidentParts) {
    this.#parts = parts;
  }

  /** Incidents that a crash left open are closed as interrupted: what is still wrong is detected again. */
  async recover(): Promise<void> {
    const { ports, memory } = this.#parts;
    const [nowMs, wallMs] = [ports.clock.monotonicMs(), ports.clock.wallMs()];
    for (const incident of memory.incidents().slice(-MAX_RELATED)) {
      const ageMs = wallMs - incident.openedMs;
      if (ageMs >= 0 && ageMs <= TOGETHER_MS) this.#recent.push({ incident, openedMs: nowMs - ageMs });
    }
    for (const incident of memory.incidents().filter(({ closedMs }) => closedMs === 0)) {
      closeIncident(incident, ports.clock.wallMs(), 'resolved', 'interrupted by a restart of the agent');
      await this.save(incident);
    }
  }

  /** From now on none opens, and all count as closed. */
  stop(): void {
    this.#stopped = true;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The open incident of a finding; undefined if there is none. */
  of(finding: Finding): Incident | undefined {
    return this.#open.get(findingKey(finding));
  }

  isOver(incident: Incident): boolean {
    return this.#stopped || incident.closedMs > 0;
  }

  /** @param suspects text on processes that keep the machine busy; empty if unknown. @returns undefined if one is already open */
  open(finding: Finding, suspects: string): Incident | undefined {
    const { ports, link, reporter } = this.#parts;
    const key = findingKey(finding);
    if (this.#open.has(key) || this.#stopped) return undefined;
    const incident = openIncident(finding, link.members.self, link.admission.name, ports.clock.wallMs(), ports.crypto.hash);
    this.#open.set(key, incident);
    this.#openedMs.set(incident, ports.clock.monotonicMs());
    this.step(incident, 'detect', `${finding.summary}: ${finding.target}`, finding.evidence);
    if (suspects !== '') this.step(incident, 'detect', suspects);
    reporter.log('warn', `${incident.id}: ${finding.summary}: ${finding.target}`);
    this.#group(incident);
    return incident;
  }

  /** Groups it with a related incident that opened just before. */
  #group(incident: Incident): void {
    const nowMs = this.#parts.ports.clock.monotonicMs();
    this.#recent = this.#recent.filter(({ openedMs }) => nowMs - openedMs <= TOGETHER_MS).slice(-MAX_RELATED);
    const before = this.#recent;
    this.#recent = [...before, { incident, openedMs: nowMs }];
    for (const { incident: earlier, openedMs } of before) {
      const why = relation(earlier, incident, nowMs - openedMs);
      if (why === undefined) continue;
      incident.cause = earlier.cause === '' ? earlier.id : earlier.cause;
      this.step(incident, 'detect', `grouped with ${incident.cause}: ${why}`);
      return;
    }
  }

  /** Asks for a person; the incident stays open until its finding clears. */
  async escalate(incident: Incident, reason: string): Promise<void> {
    if (incident.state === 'escalated') return;
    escalate(incident);
    this.step(incident, 'decide', `escalated to a person: ${reason}`);
    this.#parts.reporter.log('warn', `${incident.id} needs a person: ${reason}`);
    await this.save(incident);
  }

  async close(incident: Incident, state: 'resolved' | 'escalated', outcome: string): Promise<void> {
    this.#open.delete(findingKey(incident));
    closeIncident(incident, this.#date(incident), state, outcome);
    this.#parts.reporter.log('info', `${incident.id}: ${outcome}`);
    await this.save(incident);
  }

  /** Stored here, and reported to witnesses, which answer queries about it when this machine is down. */
  save(incident: Incident): Promise<void> {
    this.#parts.stories.tell(incident);
    return this.#parts.memory.save(incident);
  }

  step(incident: Incident, stage: Stage, text: string, data?: Step['data']): void {
    addStep(incident, this.#date(incident), stage, text, data);
  }

  #date(incident: Incident): number {
    const { clock } = this.#parts.ports;
    const openedMs = this.#openedMs.get(incident);
    return openedMs === undefined ? clock.wallMs() : incident.openedMs + clock.monotonicMs() - openedMs;
  }
}
