// What the swarm allows or denies this agent, by grants that this agent has checked: signed by an issuer, not expired, not used up.

import { z } from 'zod';
import type { Budget } from '../../consensus/decisions/budgets.ts';
import { type Effect, type Grant, type Granted, grantBytes, isGrantSigned } from '../../consensus/decisions/grants.ts';
import type { SwarmSilence } from '../../consensus/decisions/silences.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Instances } from '../../swarm/identity/instances.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { changeToolOf } from '../action/tools.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Members } from '../decisions/members.ts';
import type { Ports } from '../ports/ports.ts';
import { INSPECT, type Inspectors } from '../query/inspectors.ts';
import type { ToolCall } from '../tool-call.ts';
import type { SwarmLimits } from './brakes.ts';

const USES_PREFIX = 'grant-uses/';
const MAX_KEPT = 1_000;
const DECIDE_WITHIN_MS = 5_000;
const usesSchema = z.array(z.number());

export class Grants implements SwarmLimits {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #members: Members;
  readonly #decisions: Decisions;
  readonly #instances: Pick<Instances, 'conflictOf'>;
  /** Grants whose signature was checked, and whether it is valid. */
  readonly #signed = new Map<string, boolean>();
  /** When each grant was used, monotonic; stored by the wall clock over a restart. */
  readonly #uses = new Map<string, number[]>();

  constructor(ports: Ports, swarmId: string, members: Members, decisions: Decisions, instances: Pick<Instances, 'conflictOf'>) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#members = members;
    this.#decisions = decisions;
    this.#instances = instances;
  }

  async open(): Promise<void> {
    const aheadMs = this.#wallAheadMs();
    for (const [key, bytes] of await this.#ports.store.range(USES_PREFIX, { limit: MAX_KEPT })) {
      const used = usesSchema.safeParse(decodeCbor(bytes)).data ?? [];
      // A time in the future is from a clock that was wrong: it counts as now.
      const nowMs = this.#ports.clock.monotonicMs();
      this.#uses.set(
        key.slice(USES_PREFIX.length),
        used.map((wallMs) => Math.min(nowMs, wallMs - aheadMs)),
      );
    }
  }

  #wallAheadMs(): number {
    const { clock } = this.#ports;
    return clock.wallMs() - clock.monotonicMs();
  }

  /** Proposes a grant, signed by this member. */
  give(granted: Granted, reason: string): Promise<Outcome> {
    const { crypto } = this.#ports;
    const signature = crypto.sign(grantBytes(this.#swarmId, crypto.self, granted));
    return this.#decisions.decide({ kind: 'grant', ...granted, signature, reason }, DECIDE_WITHIN_MS);
  }

  #of(call: ToolCall, effect: Effect): Grant[] {
    const { crypto } = this.#ports;
    const nowMs = this.#decisions.wallMs();
    const target = changeToolOf(call).target(call);
    return this.#decisions.state.grants
      .of(crypto.self, nowMs)
      .filter((one) => one.effect === effect && one.tool === call.tool && (one.target ?? target) === target)
      .filter((one) => this.#isValid(one, nowMs));
  }

  #isValid(grant: Grant, nowMs: number): boolean {
    let signed = this.#signed.get(grant.id);
    if (signed === undefined) {
      signed = isGrantSigned(this.#ports.crypto, this.#swarmId, grant);
      if (this.#signed.size > MAX_KEPT) this.#signed.clear();
      this.#signed.set(grant.id, signed);
    }
    return signed && this.#members.roster.decides(grant.by, nowMs);
  }

  /** Why this agent changes nothing by itself: another one has its key, or the swarm has paused it; undefined if neither. */
  paused(): string | undefined {
    const members = this.#members;
    const twin = this.#instances.conflictOf(members.self);
    if (twin !== undefined) return twin;
    const pause = this.#decisions.state.pauseOf(members.self);
    return pause && `the swarm has paused this agent: ${pause.reason} (kalos wake ${members.nameOf(members.self)})`;
  }

  /** Why policies may not use a tool here; undefined if no grant denies it. */
  denial(call: ToolCall): string | undefined {
    const [grant] = this.#of(call, 'deny');
    return grant && `a grant denies ${call.tool} to this agent: ${grant.reason} (kalos grant list)`;
  }

  /** Why a member may not read private data here; undefined if it may. */
  inspectionRefusal(peer: PeerId, inspectors: Inspectors = 'issuers'): string | undefined {
    const members = this.#members;
    const [nowMs, name] = [this.#decisions.wallMs(), members.nameOf(members.self)];
    if (inspectors === 'nobody') return `${name} does not let other members inspect it (inspect = "nobody")`;
    const granted = this.#decisions.state.grants
      .of(peer, nowMs)
      .filter((one) => one.tool === INSPECT && (one.target ?? name) === name && this.#isValid(one, nowMs));
    const denied = granted.find(({ effect }) => effect === 'deny');
    if (denied !== undefined) return `a grant denies ${INSPECT} to ${members.nameOf(peer)}: ${denied.reason}`;
    if (inspectors === 'members' || granted.some(({ effect }) => effect === 'act') || members.roster.decides(peer, nowMs))
      return undefined;
    return `${members.nameOf(peer)} may not inspect ${name}: it is not an issuer and has no grant (kalos grant act --tool ${INSPECT})`;
  }

  /** Whether a grant allows the call without approval. */
  mayAct(call: ToolCall): boolean {
    return this.#of(call, 'act').length > 0;
  }

  /** How many changes policies may make here within a time; undefined if no budget is set. */
  budget(): Budget | undefined {
    return this.#decisions.state.budgets.of(this.#ports.crypto.self);
  }

  /** The silence of the swarm that covers a finding; undefined if none does. */
  silenceOn(policy: string, target: string): SwarmSilence | undefined {
    return this.#decisions.state.silenceOn(policy, target, this.#decisions.wallMs());
  }

  /** The standing approval of each call; undefined if one has none, or has no use left. */
  approvals(calls: readonly ToolCall[]): Grant[] | undefined {
    const nowMs = this.#ports.clock.monotonicMs();
    const found = calls.map((call) => this.#of(call, 'approve').find((one) => this.#usesOf(one, nowMs).length < one.uses));
    return found.every((one) => one !== undefined) ? found : undefined;
  }

  #usesOf({ id, withinMs }: Grant, nowMs: number): number[] {
    return (this.#uses.get(id) ?? []).filter((atMs) => nowMs - atMs < withinMs);
  }

  #usesOnWall(id: string, aheadMs: number): number[] {
    return (this.#uses.get(id) ?? []).map((usedMs) => Math.round(usedMs + aheadMs));
  }

  /** Counts a use in any case; durable once it resolves. */
  async use(grants: readonly Grant[]): Promise<void> {
    const [nowMs, aheadMs] = [this.#ports.clock.monotonicMs(), this.#wallAheadMs()];
    for (const grant of grants) this.#uses.set(grant.id, [...this.#usesOf(grant, nowMs), nowMs]);
    await this.#ports.store.write(
      grants.map(({ id }) => ({ kind: 'put', key: `${USES_PREFIX}${id}`, value: encodeCbor(this.#usesOnWall(id, aheadMs)) })),
    );
  }
}
