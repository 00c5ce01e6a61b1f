// How fast a member of a Raft group ticks, and how much of its log it keeps.

export interface LogSettings {
  tickMs: number;
  heartbeatTicks: number;
  electionTicks: number;
  /** After so many entries the state is kept, and entries are dropped but for some, for followers that are a little behind. */
  snapshotEvery: number;
  keptEntries: number;
}

/** Heartbeats each 250 ms; silence is judged after 0.8 to 1.6 s. */
export const DEFAULT_SETTINGS: LogSettings = {
  tickMs: 50,
  heartbeatTicks: 5,
  electionTicks: 16,
  snapshotEvery: 2_000,
  keptEntries: 500,
};
