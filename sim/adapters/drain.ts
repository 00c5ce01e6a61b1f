// Lets every promise that an event settled run to its end before virtual time goes on. Nothing in a simulation waits for
// real I/O, so one turn of the event loop empties the microtask queue, in the same order each time.
export function drainPromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Real time, for reports only. */
export function realMs(): number {
  return performance.now();
}
