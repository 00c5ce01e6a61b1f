// The vital signs of this agent: how late its timers run, whether that is for lack of CPU, and how long a write to disk takes.
import { type Vitals, zoneOf } from '../../consensus/committee/fitness.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { Ports } from '../ports/ports.ts';

const TICK_MS = 1_000;
/** A write is measured this often. */
const DISK_EVERY_TICKS = 15;
const KEPT_TICKS = 60;
const KEPT_WRITES = 5;
/** The quantile of the lag: of sixty, all but the worst three. */
const NEARLY_WORST = 0.95;
/** A lag within this many seconds may come again. */
const LATE_TICKS = 15;
const BLIND_MS = 300;
const STARVED_SHARE = 0.5;
const KEY = 'vitals';

export class VitalSigns {
  readonly #ports: Pick<Ports, 'clock' | 'store' | 'sensors'>;
  readonly #domain: string;
  readonly #failed: (error: unknown) => void;
  #lags: number[] = [];
  /** How much of each second it waited for a CPU. */
  #waits: number[] = [];
  #waitedMs: number | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #writes: number[] = [];
  #writingSinceMs: number | undefined;
  #ticks = 0;
  #timer: Timer | undefined;
  #stopped = false;

  /** @param domain the failure domain of this machine */
  constructor(ports: Pick<Ports, 'clock' | 'store' | 'sensors'>, domain: string, failed: (error: unknown) => void) {
    this.#ports = ports;
    this.#domain = domain;
    this.#failed = failed;
  }

  start(): void {
    const { clock } = this.#ports;
    this.#dueMs = clock.monotonicMs() + TICK_MS;
    this.#timer = clock.after(TICK_MS, () => {
      this.#lags = [...this.#lags, this.#overdueMs].slice(-KEPT_TICKS);
      this.#noteWait();
      if (this.#ticks++ % DISK_EVERY_TICKS === 0 && this.#writingSinceMs === undefined) this.#write();
      if (!this.#stopped) this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #noteWait(): void {
    const waitedMs = this.#ports.sensors.waitedMs();
    if (waitedMs !== undefined && this.#waitedMs !== undefined)
      this.#waits = [...this.#waits, waitedMs - this.#waitedMs].slice(-KEPT_TICKS);
    this.#waitedMs = waitedMs;
  }

  get #overdueMs(): number {
    return Math.max(0, this.#ports.clock.monotonicMs() - this.#dueMs);
  }

  /** How late this agent may be now, ms. */
  get lateMs(): number {
    return Math.max(0, this.#overdueMs, ...this.#lags.slice(-LATE_TICKS));
  }

  /** So late that its measurements of others and of time are not reliable. */
  get isBlind(): boolean {
    return this.lateMs > BLIND_MS;
  }

  /** The lag comes from the machine: other programs have the CPUs. */
  get isStarved(): boolean {
    const [late, waited] = [sum(this.#lags), sum(this.#waits)];
    return late > 0 && waited >= late * STARVED_SHARE;
  }

  /** The failure domain of this machine, as a number in statuses; 0 if none is configured. */
  get zone(): number {
    return zoneOf(this.#domain);
  }

  #write(): void {
    const { clock, store } = this.#ports;
    const sinceMs = clock.monotonicMs();
    this.#writingSinceMs = sinceMs;
    store.write([{ kind: 'put', key: KEY, value: utf8('here') }]).then(
      () => {
        this.#writes = [...this.#writes, clock.monotonicMs() - sinceMs].slice(-KEPT_WRITES);
        this.#writingSinceMs = undefined;
      },
      (error: unknown) => this.#failed(error),
    );
  }

  get now(): Vitals {
    const { clock } = this.#ports;
    // A write that takes long counts before it ends.
    const pending = this.#writingSinceMs === undefined ? [] : [clock.monotonicMs() - this.#writingSinceMs];
    return {
      lagMs: quantile(this.#lags, NEARLY_WORST),
      diskMs: Math.max(quantile(this.#writes, 0.5), ...pending),
      domain: this.#domain,
    };
  }
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
