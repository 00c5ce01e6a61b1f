// The agent's heartbeat to its actuator, sent from the agent's event loop. If it stops, the actuator records the state of the agent, and
// kills it if a supervisor restarts it. Missing answers show that the actuator hangs.
// (Node's diagnostic report on a signal is written by the loop itself: a loop that hangs writes none.)
import { url as debuggerUrl } from 'node:inspector';

const EVERY_MS = 2_000;
/** On a busy machine an answer may be this late. */
const LATE_MS = 5_000;
/** Flags, as in native/actuator/watch.h. */
const RESTARTED = 1;
const DEBUGGED = 2;

export class Heartbeat {
  readonly #ask: (flags: number) => Promise<{ ok: boolean }>;
  readonly #timer: NodeJS.Timeout;
  /** Since when there is no answer, monotonic. */
  #silentSinceMs: number | undefined;

  /** @param ask sends a beat with these flags; resolves when it is answered. */
  constructor(ask: (flags: number) => Promise<{ ok: boolean }>) {
    this.#ask = ask;
    this.#timer = setInterval(() => void this.#beat(), EVERY_MS).unref();
    void this.#beat();
  }

  async #beat(): Promise<void> {
    // With a systemd watchdog an agent that hangs must be killed and restarted.
    const restarted = Number(process.env.WATCHDOG_USEC ?? 0) > 0 ? RESTARTED : 0;
    this.#silentSinceMs ??= performance.now();
    const { ok } = await this.#ask(restarted | (debuggerUrl() === undefined ? 0 : DEBUGGED));
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
