// What members propose to this agent while it is leader: whether they may, and what the leader adds, such as its time.
import { type Decision, isOlder, wished } from '../../consensus/decisions/decision.ts';
import { kindOf } from '../../consensus/decisions/kinds.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { equivocatorOf } from '../../consensus/vote/equivocation.ts';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { Random } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';
import type { Checkpoints } from './checkpoints.ts';
import { swarmHealth } from './health.ts';
import type { Members } from './members.ts';
import type { DecisionLog, OwnLog } from './own-log.ts';
import type { Proven } from './proven.ts';

const ID_BYTES = 16;
const LEADS_WITHIN_MS = 2_000;

export const drawId = (random: Random): string => toHex(random.bytes(ID_BYTES));

export class Proposals {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #members: Members;
  readonly #log: OwnLog;
  readonly #checkpoints: Checkpoints;
  readonly #proven: Proven;
  #isAnnouncing = false;

  /** @param ports with the swarm's clock */
  constructor(ports: Ports, swarmId: string, members: Members, log: OwnLog, checkpoints: Checkpoints, proven: Proven) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#members = members;
    this.#log = log;
    this.#checkpoints = checkpoints;
    this.#proven = proven;
  }

  /** Proposes a member's decision to the committee, if the member may decide it. @throws LogUnavailable */
  async take(from: PeerId, decision: Decision, timeoutMs: number): Promise<Outcome> {
    const log = this.#log.leading;
    if (log === undefined) throw new LogUnavailable('this agent is not the leader', false);
    const reason = this.#refusal(from, decision);
    return reason === undefined ? log.propose(this.#stamped(decision), timeoutMs) : { ok: false, reason };
  }

  #refusal(from: PeerId, decision: Decision): string | undefined {
    if (decision.by !== from) return 'a member may only request in its own name';
    const isSelf = from === this.#ports.crypto.self;
    const { who } = kindOf(decision);
    if (who === 'leader' && !isSelf) return 'only the leader may decide this';
    const mayAny = who === 'member' || (isSelf && who !== 'issuer');
    if (!mayAny && !this.#members.mayDecide(from))
      return `${this.#members.nameOf(from)} may not decide about others: it is not an issuer (kalos members promote)`;
    if (decision.kind === 'quarantine' && equivocatorOf(this.#ports.crypto, this.#swarmId, decision) !== decision.peer)
      return 'the two votes do not conflict';
    return this.#drainRefusal(decision) ?? this.#tooOld(decision);
  }

  #drainRefusal(decision: Decision): string | undefined {
    if (decision.kind === 'place' && this.#proven.drained().has(decision.by)) return 'this member is drained';
    const { by } = decision;
    if (decision.kind === 'undrain') {
      const mayUndo = this.#members.mayDecide(by) || this.#checkpoints.state.drains.of(decision.peer, 0)?.by === by;
      return mayUndo ? undefined : `${this.#members.nameOf(by)} is not an issuer, and did not drain the member`;
    }
    const isGood = decision.kind !== 'drain' || this.#proven.isProven(this.#stamped(decision) as typeof decision);
    return isGood ? undefined : `${this.#members.nameOf(by)} is not an issuer, and has no witness certificate`;
  }

  /** A member that does not know a kind of decision would get another state than the rest. */
  #tooOld(decision: Decision): string | undefined {
    const { since } = kindOf(decision);
    const versionOf = (peer: PeerId): string | undefined => this.#members.statusOf(peer)?.version;
    const old = since && this.#members.alive().find((peer) => isOlder(versionOf(peer) ?? since, since));
    return old && `${this.#members.nameOf(old)} runs KALOS ${versionOf(old)}: this decision needs ${since} on all members`;
  }

  /** Adds the leader's time, and the other fields that only the leader sets. */
  #stamped(decision: Decision): Decision {
    const atMs = Math.round(this.#ports.clock.wallMs());
    const stamped = kindOf(decision).stamp(decision, {
      later: (untilMs) => atMs + Math.max(0, untilMs - decision.atMs),
      health: () => swarmHealth(this.#members),
      // Of another member, and without a certificate: by an issuer.
      isByPerson: ({ by, proof }) => this.#members.mayDecide(by) && proof.length === SIGNATURE_BYTES,
    });
    return { ...decision, ...stamped, atMs } as Decision;
  }

  /** Each second while this agent leads: records that in the log, once a term. */
  leads(log: DecisionLog): void {
    const { random, crypto, clock } = this.#ports;
    const { term } = log.state;
    const said = log.machine.recent().findLast(({ decision }) => decision.kind === 'leads');
    if (this.#isAnnouncing || (said?.term === term && said.decision.by === crypto.self)) return;
    this.#isAnnouncing = true;
    const ended = (): void => {
      this.#isAnnouncing = false;
    };
    log.propose(wished({ kind: 'leads' }, crypto.self, drawId(random), clock.wallMs()), LEADS_WITHIN_MS).then(ended, ended);
  }
}
