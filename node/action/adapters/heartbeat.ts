// The agent's sign of life to its actuator, sent from the agent's own loop: where it stays away, the actuator keeps what can be
// seen of the agent and ends it, if somebody starts it again. What the answers tell of the actuator is kept, too.
// (Node's diagnostic report on a signal is made by the loop itself: of one that stands still there is none.)
import { url as debuggerUrl } from 'node:inspector';

const EVERY_MS = 2_000;
/** A busy machine's answer is late, no silence. */
const LATE_MS = 5_000;
/** As native/actuator/watch.h has them. */
const STARTED_AGAIN = 1;
const DEBUGGED = 2;

export class Heartbeat {
  readonly #ask: (flags: number) => Promise<{ ok: boolean }>;
  readonly #timer: NodeJS.Timeout;
  /** Monotonic ms since when there is no answer. */
  #silentSinceMs: number | undefined;

  /** @param ask sends a beat with these flags; told when it is answered. */
  constructor(ask: (flags: number) => Promise<{ ok: boolean }>) {
    this.#ask = ask;
    this.#timer = setInterval(() => void this.#beat(), EVERY_MS).unref();
    void this.#beat();
  }

  async #beat(): Promise<void> {
    // systemd's watchdog is set by who wants an agent that hangs to be ended and started again.
    const again = Number(process.env.WATCHDOG_USEC ?? 0) > 0 ? STARTED_AGAIN : 0;
    this.#silentSinceMs ??= performance.now();
    const { ok } = await this.#ask(again | (debuggerUrl() === undefined ? 0 : DEBUGGED));
    if (ok) this.#silentSinceMs = undefined;
  }

  silentMs(): number {
    const silentMs = this.#silentSinceMs === undefined ? 0 : performance.now() - this.#silentSinceMs;
    return silentMs > LATE_MS ? silentMs : 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
