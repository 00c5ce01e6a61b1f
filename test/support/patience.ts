// How long a test waits for what has to come: its limits are those of two idle cores, stretched by what the yardstick of `npm test` found.

/** 1 on two idle cores and better; 4 where the same work takes four times as long. */
export const PATIENCE = Number(process.env.KALOS_TEST_PATIENCE ?? 1);

/** @param ms what it may take on two idle cores */
export function patient(ms: number): number {
  return Math.round(ms * PATIENCE);
}
