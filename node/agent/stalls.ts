// Reports agents of this machine that hung: the actuator noticed, recorded their state, and killed them if a supervisor restarts them.
// One incident each, so that peers, `kalos incidents` and `kalos explain` show it.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { addStep, closeIncident, type Incident, openIncident } from '../detection/incident.ts';
import { PeriodicTask } from '../periodic-task.ts';
import type { Stall } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';

const REPORTED_KEY = 'stalls/told';
/** Older stalls are not reported. */
const MAX_AGE_MS = 86_400_000;
const LOOK_EVERY_MS = 5_000;

export interface StallEvents {
  nameOf(): string;
  save(incident: Incident): Promise<unknown>;
  log(level: 'info' | 'warn', text: string): void;
}

export class StallReports {
  readonly #ports: Ports;
  readonly #events: StallEvents;
  readonly #task: PeriodicTask;

  constructor(ports: Ports, events: StallEvents) {
    this.#ports = ports;
    this.#events = events;
    this.#task = new PeriodicTask({
      clock: ports.clock,
      everyMs: LOOK_EVERY_MS,
      run: () => this.#turn(),
      failed: (why) => events.log('warn', `stalls: ${why}`),
    });
  }

  /** Looks every few seconds: an agent that was not killed may have recovered by itself. */
  start(): void {
    this.#task.start();
  }

  stop(): void {
    this.#task.stop();
  }

  async #turn(): Promise<void> {
    const { actuator, store, clock } = this.#ports;
    const stalls = await actuator.stalls();
    if (stalls.length === 0) return;
    const kept = await store.get(REPORTED_KEY);
    const nowMs = clock.wallMs();
    const before = kept === undefined ? 0 : (z.number().safeParse(decodeCbor(kept)).data ?? 0);
    // A time in the future is from a clock that was wrong.
    const reportedMs = before > nowMs ? 0 : before;
    for (const stall of stalls) if (stall.atMs > reportedMs && nowMs - stall.atMs < MAX_AGE_MS) await this.#report(stall, nowMs);
    const newestMs = Math.max(...stalls.map(({ atMs }) => atMs));
    if (newestMs > reportedMs) await store.write([{ kind: 'put', key: REPORTED_KEY, value: encodeCbor(newestMs) }]);
  }

  async #report(stall: Stall, nowMs: number): Promise<void> {
    const { crypto, transport } = this.#ports;
    const { nameOf, save, log } = this.#events;
    const { atMs, ended, lastedMs, words } = stall;
    const finding = { policy: 'agent-stalled', target: 'agent', severity: 'warning' as const, summary: summaryOf(stall) };
    const incident = openIncident(finding, transport.self, nameOf(), atMs, crypto.hash);
    addStep(incident, atMs, 'detect', `${finding.summary}: ${words}`, { ms: lastedMs });
    if (ended) addStep(incident, atMs, 'act', 'the actuator killed the agent to restart it');
    closeIncident(incident, nowMs, 'resolved', ended ? 'the agent was restarted' : 'the agent responds again');
    log('warn', `${incident.id}: ${finding.summary}`);
    await save(incident);
  }
}

function summaryOf({ ended, lastedMs }: Stall): string {
  return `the agent ${ended ? 'was restarted: it ' : ''}did not respond for ${Math.round(lastedMs / 1_000)} s`;
}
