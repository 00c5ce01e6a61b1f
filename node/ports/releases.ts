// Releases of KALOS on this machine, as a port: their archives, the running one, and starting another. A release on trial is rolled
// back to the previous one if its agent exits or reports nothing. The actuator, which has the privileges, is not part of a release.

export interface Releases {
  /** Whether this machine accepts releases of the swarm. */
  readonly takes: boolean;
  /** The digest of the running release; empty for the machine’s own package. */
  readonly running: string;
  readonly isOnTrial: boolean;
  /** The last release that failed here. */
  readonly failed: { digest: string; reason: string } | undefined;
  /** A part of an archive; undefined if it is not here. */
  read(digest: string, from: number, most: number): Promise<Uint8Array | undefined>;
  /** Stores and unpacks an archive. @returns its version @throws Error if it is not a release of KALOS */
  keep(digest: string, archive: Uint8Array): Promise<string>;
  has(digest: string): Promise<boolean>;
  /** Sets the release of the next start: on trial, except the machine’s own package, which has no digest. */
  choose(digest: string): Promise<void>;
  /** Reports that the release on trial runs and is in the swarm. */
  beat(): Promise<void>;
  /** Ends the trial: the release stays. */
  confirm(): Promise<void>;
  /** Allows a failed release to be tried again. */
  forgive(): Promise<void>;
}
