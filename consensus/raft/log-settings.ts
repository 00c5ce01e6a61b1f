// The tick rate of a member of a Raft group, and how much of its log it keeps.

export interface LogSettings {
  tickMs: number;
  heartbeatTicks: number;
  electionTicks: number;
  /** A snapshot is taken after this many entries. The last `keptEntries` before it stay, for followers that are a little behind. */
  snapshotEvery: number;
  keptEntries: number;
}

/** Heartbeats each 250 ms; an election after 0.8 to 1.6 s of silence. */
export const DEFAULT_SETTINGS: LogSettings = {
  tickMs: 50,
  heartbeatTicks: 5,
  electionTicks: 16,
  snapshotEvery: 2_000,
  keptEntries: 500,
};
