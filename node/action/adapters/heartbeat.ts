// The agent's heartbeat to its actuator, sent from the agent's own loop. If it stays away, the actuator records what it sees of the
// agent, and kills it if something restarts it. Missing answers show in turn that the actuator hangs.
// (Node's diagnostic report on a signal is made by the loop itself: a loop that hangs makes none.)
import { url as debuggerUrl } from 'node:inspector';

const EVERY_MS = 2_000;
/** On a busy machine an answer may be this late. */
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
    // With a systemd watchdog an agent that hangs is to be killed and restarted.
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
