// Runs a simulation's steps as turns of Node's event loop, so that all promises that a step settled have run before the next step. No part
// of a simulation waits for real I/O: after a turn the microtask queue is empty, and its order is the same each time.

/** Turns in one batch: Node runs them in a row, and polls for real events only between batches. */
const ROW = 512;

/** Steps until one returns false. @throws what a step throws. */
export function stepAll(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    let left = 0;
    const turn = (): void => {
      left--;
      if (over) return;
      try {
        over = !step();
      } catch (error) {
        over = true;
        return reject(error);
      }
      if (over) setImmediate(resolve);
      else if (left === 0) row();
    };
    const row = (): void => {
      left = ROW;
      for (let i = 0; i < ROW; i++) setImmediate(turn);
    };
    row();
  });
}

/** Real time, for reports only. */
export function realMs(): number {
  return performance.now();
}
