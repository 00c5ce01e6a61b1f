// Opens an incident for each finding that fires, one a finding at a time, and starts its loop.
import type { Change, Finding } from '../detection/detector.ts';
import { IncidentLoop, type LoopParts } from './incident-loop.ts';
import { OpenIncidents } from './open-incidents.ts';

export class Healer {
  readonly #parts: LoopParts;
  readonly incidents: OpenIncidents;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.incidents = new OpenIncidents(parts);
  }

  onChanges(changes: readonly Change[]): void {
    for (const { kind, finding } of changes) {
      const work = kind === 'fired' ? this.#fired(finding) : this.#cleared(finding);
      work.catch(this.#parts.reporter.failed);
    }
  }

  async #fired(finding: Finding): Promise<void> {
    const { watcher, memory } = this.#parts;
    // A finding of the whole machine: which processes keep it busy.
    const isWide = finding.claim === 'pressure' || finding.condition === 'Anomalous';
    const incident = this.incidents.open(finding, isWide ? watcher.samples.suspects() : '');
    if (incident === undefined) return;
    await this.incidents.save(incident);
    await memory.record(incident.id, watcher.samples.recording());
    await new IncidentLoop(this.#parts, this.incidents, incident, finding).run();
  }

  /** A finding that cleared by itself closes its incident; during an action, the action closes it. */
  async #cleared(finding: Finding): Promise<void> {
    const incident = this.incidents.of(finding);
    if (incident === undefined || incident.state === 'acting') return;
    this.#parts.executor.approvals.answerAll('withdrawn', incident.id);
    const outcome = incident.state === 'escalated' ? 'cleared after it was escalated' : 'cleared without a repair';
    await this.incidents.close(incident, 'resolved', outcome);
  }
}
