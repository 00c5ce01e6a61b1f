// Releases of KALOS on this machine, as a port: their archives, which of them runs, and starting another. What is on trial goes back by
// itself, to what ran before, where its agent ends or is not heard of. The actuator, which has the privileges, is of no release.

export interface Releases {
  /** Whether this machine takes releases of the swarm at all. */
  readonly takes: boolean;
  /** The digest of what runs; empty where that is the machine’s own package. */
  readonly running: string;
  readonly isOnTrial: boolean;
  /** The last one that was given up here. */
  readonly failed: { digest: string; reason: string } | undefined;
  /** A part of an archive that is here; undefined where it is not. */
  read(digest: string, from: number, most: number): Promise<Uint8Array | undefined>;
  /** Keeps an archive, and what is in it. @returns its version @throws Error where it is no release of KALOS */
  keep(digest: string, archive: Uint8Array): Promise<string>;
  has(digest: string): Promise<boolean>;
  /** What the agent is from its next start on: on trial, but for the machine’s own package, which has no digest. */
  choose(digest: string): Promise<void>;
  /** On trial: it lives, and is in the swarm. */
  beat(): Promise<void>;
  /** It is on trial no more. */
  confirm(): Promise<void>;
  /** What was given up may be tried again. */
  forgive(): Promise<void>;
}
