// What this agent publishes to the whole swarm: its status, its report as an observer, its farewell. Each is signed with a sequence number
// that is higher than all before it, also those from before a restart: members ignore lower ones.
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type EnvelopeKind, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import type { MemberTable } from '../../swarm/membership/member-table.ts';
import { type Alerts, encodeReport } from '../../swarm/membership/report.ts';
import type { SwarmNames } from '../../swarm/names.ts';
import { encodeStatus, type Status } from '../../swarm/state/status.ts';
import { StatusPacing } from '../../swarm/state/status-pacing.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import type { Ports } from '../ports/ports.ts';

const SEQUENCE_KEY = 'status/sequence';
/** Sequence numbers reserved at each start, so that a crash never reuses one. */
const SEQUENCE_RESERVE = 1_000_000;
/** The first status is published again: no member may have been connected before. */
const PUBLISH_AGAIN_MS = 3_000;

export class Announcements {
  readonly #ports: Ports;
  readonly #names: SwarmNames;
  readonly #table: MemberTable;
  readonly #statuses: StatusTable;
  readonly #failed: (error: unknown) => void;
  readonly #pacing: StatusPacing;
  #sequence = 0;
  #alerts: Alerts = new Map();

  constructor(ports: Ports, names: SwarmNames, table: MemberTable, statuses: StatusTable, failed: (error: unknown) => void) {
    this.#ports = ports;
    this.#names = names;
    this.#table = table;
    this.#statuses = statuses;
    this.#failed = failed;
    this.#pacing = new StatusPacing(ports.random);
  }

  async open(): Promise<void> {
    const { store, clock } = this.#ports;
    const reserved = decodeCbor((await store.get(SEQUENCE_KEY)) ?? encodeCbor(0));
    this.#sequence = Math.max(typeof reserved === 'number' ? reserved : 0, Math.round(clock.wallMs()));
    await this.#reserve();
  }

  start(): void {
    this.#ports.clock.after(PUBLISH_AGAIN_MS, () => {
      this.#pacing.again();
    });
  }

  /** Publishes the agent's status if it changed enough, or is old. */
  publish(status: Status): void {
    const how = this.#pacing.due(status, this.#table.size, this.#ports.clock.monotonicMs());
    if (how !== undefined) this.#seal('status', encodeStatus(status), how === 'urgent');
  }

  /** Publishes which members this agent, as their observer, cannot reach. */
  report(alerts: Alerts): void {
    this.#alerts = alerts;
    this.#seal('report', encodeReport(this.#ports.crypto, alerts), true);
  }

  farewell(): void {
    this.#seal('leave', new Uint8Array(), true);
  }

  #seal(kind: EnvelopeKind, payload: Uint8Array, urgent: boolean): void {
    const { crypto, transport, clock } = this.#ports;
    const envelope = sealEnvelope(crypto, this.#names.swarmId, kind, ++this.#sequence, payload);
    if (kind !== 'leave') this.#statuses.offer(envelope.bytes, clock.monotonicMs());
    transport.publish(this.#names.statusTopic, envelope.bytes, urgent);
  }

  /** Others have a report of this agent from before a restart: the present one is published. */
  reportedBefore(sequence: number): void {
    this.outlivedBy(sequence);
    this.report(this.#alerts);
  }

  /** Others have something of this agent with a higher sequence number: its disk was lost. It continues from that number. */
  outlivedBy(sequence: number): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.#pacing.again();
    this.#reserve().catch((error: unknown) => this.#failed(error));
  }

  #reserve(): Promise<void> {
    return this.#ports.store.write([{ kind: 'put', key: SEQUENCE_KEY, value: encodeCbor(this.#sequence + SEQUENCE_RESERVE) }]);
  }
}
