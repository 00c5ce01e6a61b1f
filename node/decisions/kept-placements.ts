// Members report their placements to the leader every few seconds. The leader releases a placement that was not reported for long.
import { z } from 'zod';
import { Keeping, type Placement } from '../../consensus/decisions/placements.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';
import type { Committee } from './committee.ts';
import type { AskMember } from './members.ts';
import type { DecisionLog } from './own-log.ts';
import type { Reads } from './reads.ts';

export const keptSchema = z.array(z.tuple([z.string(), z.number()])).max(256);
type Held = readonly (readonly [service: string, fence: number])[];

export class KeptPlacements {
  readonly #ports: Pick<Ports, 'clock' | 'crypto'>;
  readonly #committee: Committee;
  readonly #reads: Reads;
  readonly #ask: AskMember;
  /** As leader, in this term. */
  readonly #keeping = new Keeping();
  #term = 0;

  constructor(ports: Pick<Ports, 'clock' | 'crypto'>, committee: Committee, reads: Reads, ask: AskMember) {
    this.#ports = ports;
    this.#committee = committee;
    this.#reads = reads;
    this.#ask = ask;
  }

  /** Reports the placements here to the leader. @returns for each whether it is still valid; undefined without an answer */
  async keep(held: Held, withinMs: number): Promise<boolean[] | undefined> {
    const { coordinator } = this.#committee;
    const { self } = this.#ports.crypto;
    if (coordinator === undefined) return undefined;
    if (coordinator === self) return this.kept(self, held, withinMs);
    const answer = decodeCbor(await this.#ask(coordinator, encodeCbor(['keep', held]), withinMs));
    return z.array(z.boolean()).length(held.length).safeParse(answer).data;
  }

  /** As leader, once a majority confirms that it still is. @throws LogUnavailable */
  async kept(from: PeerId, held: Held, withinMs: number): Promise<boolean[]> {
    await this.#reads.ownIndex(withinMs);
    // A follower could answer too, by asking its leader. But only the leader releases what is not reported.
    const log = this.#committee.log.leading;
    if (log === undefined) throw new LogUnavailable('this agent is not the leader', false);
    const { clock } = this.#ports;
    this.#inTerm(log.state.term);
    return held.map(([service, fence]) =>
      this.#keeping.keep(from, service, fence, log.machine.placementOf(service), clock.monotonicMs()),
    );
  }

  #inTerm(term: number): void {
    if (term === this.#term) return;
    this.#term = term;
    this.#keeping.clear();
  }

  /** As leader: placements that were not reported in time. */
  overdue(log: DecisionLog): readonly Placement[] {
    this.#inTerm(log.state.term);
    return this.#keeping.overdue(log.machine.placements(), this.#ports.clock.monotonicMs());
  }
}
