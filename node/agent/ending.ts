// How an agent stops: step by step, even if a step fails, so that the last one, the store, is always closed.
import { messageOf } from './turns.ts';

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
