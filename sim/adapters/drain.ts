// Runs a simulation's steps as turns of Node's event loop, so that every promise that a step settled has run to its end before
// the next one. Nothing in a simulation waits for real I/O: after a turn the microtask queue is empty, in the same order each time.

/** Turns queued at once: Node runs them in a row, and looks at the world outside only between the rows. */
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
