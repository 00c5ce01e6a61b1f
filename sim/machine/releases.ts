// Releases of KALOS on a simulated machine: an archive is a few words that say how its agent behaves. This is the twin of the launcher
// (bin/kalos): a release on trial is abandoned if its agent exits, or if it does not report.

import type { Releases } from '../../node/ports/releases.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Scheduler } from '../scheduler.ts';

const SILENT_MS = 60_000;
const LOOK_EVERY_MS = 5_000;

/** The behaviour of a release's agent: normal; it exits soon after its start; it hangs; or it harms its machine. */
export const BEHAVIOURS = ['well', 'ends', 'hangs', 'harms'] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

export interface Archive {
  version: string;
  behaviour: Behaviour;
}

export const archiveOf = ({ version, behaviour }: Archive): Uint8Array => encodeCbor(['kalos', version, behaviour]);

/** On its disk: it survives power cuts and exits of agents. */
export class SimulatedReleases {
  readonly #scheduler: Scheduler;
  readonly #archives = new Map<string, Uint8Array>();
  readonly #giveUp: (reason: string) => void;
  takes = true;
  current = '';
  trial: string | undefined;
  failed: { digest: string; reason: string } | undefined;
  #heardMs = 0;

  /** @param giveUp ends the running agent; it is started again */
  constructor(scheduler: Scheduler, giveUp: (reason: string) => void) {
    this.#scheduler = scheduler;
    this.#giveUp = giveUp;
  }

  /** As the launcher: chooses the release of the agent that starts now. */
  starts(): Archive | undefined {
    const running = this.trial ?? this.current;
    this.#heardMs = this.#scheduler.nowMs;
    if (this.trial !== undefined) this.#listen(this.trial);
    const archive = this.#archives.get(running);
    if (archive === undefined) return undefined;
    const [, version, behaviour] = decodeCbor(archive) as [string, string, Behaviour];
    return { version, behaviour };
  }

  #listen(trial: string): void {
    this.#scheduler.after(LOOK_EVERY_MS, () => {
      if (this.trial !== trial) return;
      if (this.#scheduler.nowMs - this.#heardMs > SILENT_MS) this.#giveUp('no report from it');
      else this.#listen(trial);
    });
  }

  /** The agent has exited, or was ended. */
  ended(reason: string): void {
    if (this.trial === undefined) return;
    this.failed = { digest: this.trial, reason };
    this.trial = undefined;
  }

  port(): Releases {
    const disk = this;
    const running = this.trial ?? this.current;
    return {
      running,
      get takes() {
        return disk.takes;
      },
      get isOnTrial() {
        return disk.trial === running;
      },
      get failed() {
        return disk.failed;
      },
      read: async (digest, from, most) => this.#archives.get(digest)?.slice(from, from + most),
      keep: async (digest, archive) => {
        const [name, version] = decodeCbor(archive) as string[];
        if (name !== 'kalos') throw new Error('it is not a KALOS release');
        this.#archives.set(digest, archive);
        return version ?? '';
      },
      has: async (digest) => this.#archives.has(digest),
      choose: async (digest) => {
        if (digest === '' || digest === this.current) {
          this.current = digest;
          this.trial = undefined;
        } else this.trial = digest;
      },
      beat: async () => {
        this.#heardMs = this.#scheduler.nowMs;
      },
      confirm: async () => {
        this.current = running;
        this.trial = undefined;
      },
      forgive: async () => {
        this.failed = undefined;
      },
    };
  }
}
