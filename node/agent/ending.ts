// How an agent stops: step by step, even if a step fails, so that the last one, the store, is always closed.
import { messageOf } from '../../swarm/words.ts';
import type { Ports } from '../ports/ports.ts';

/** How often a stop checks whether the disk refuses writes. */
const LOOK_EVERY_MS = 200;

/** What is stopped, and how. */
export type EndingStep = readonly [what: string, end: () => unknown];

export async function endInTurn(steps: readonly EndingStep[], warn: (text: string) => void): Promise<void> {
  for (const [what, end] of steps) {
    try {
      await end();
    } catch (error) {
      warn(`while stopping ${what}: ${messageOf(error)}`);
    }
  }
}

/** Waits for a step of the agent's stop, but not for a disk that refuses writes: these writes were not reported as stored. */
export async function unlessRefused({ clock, store }: Pick<Ports, 'clock' | 'store'>, step: Promise<void>): Promise<void> {
  let done = false;
  const refused = async (): Promise<void> => {
    while (!done && store.refusal === undefined) await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
  };
  await Promise.race([step, refused()]).finally(() => {
    done = true;
  });
}
