// This agent's own log of the swarm's decisions, while it belongs to the committee: which of its logs is in use, how it starts, and how it
// starts again after damage or a recovery by root keys. A damaged log is never continued: a new one starts under another number.
import { anotherLog, drawLog, type RaftIds } from '../../consensus/committee/raft-ids.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import { CorruptLog } from '../../consensus/raft/durable-log.ts';
import { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Recovery } from '../../swarm/identity/record.ts';
import { FOUNDER_KEY } from '../../swarm/identity/roster-store.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { messageOf } from '../../swarm/words.ts';
import { HEAD_KEY } from '../audit/audit-log.ts';
import type { Ports } from '../ports/ports.ts';
import { beginningOf } from './log-beginning.ts';

/** Which of this peer's logs is the one in use. */
const LOG_KEY = 'committee/log';
/** The epoch of the last recovery by root keys that this agent has followed. */
const RECOVERED_KEY = 'committee/recovered';
const OPEN_AGAIN_MS = 10_000;

export type DecisionLog = ReplicatedLog<DecisionState>;

export interface OwnLogEvents {
  send(to: NodeId, bytes: Uint8Array): void;
  /** Round trip time to the rest of the committee. */
  rttMs(): number;
  opened(): void;
  /** Its role, its term or the configuration of the committee changed. */
  changed(): void;
  /** A decision was applied, or the voters changed. */
  applied(): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

/** The part of a store under a prefix. */
function within(store: Store, prefix: string): Store {
  return {
    get: (key) => store.get(prefix + key),
    write: (operations) => store.write(operations.map((one) => ({ ...one, key: prefix + one.key }))),
    range: async (from, options) =>
      (await store.range(prefix + from, options)).map(([key, value]) => [key.slice(prefix.length), value]),
    close: async () => undefined,
  };
}

export class OwnLog {
  readonly #ports: Ports;
  readonly #ids: RaftIds;
  readonly #events: OwnLogEvents;
  #current: DecisionLog | undefined;
  #opening: Promise<DecisionLog> | undefined;
  #stopped = false;
  /** How often the log stopped because of a broken invariant. */
  failures = 0;

  constructor(ports: Ports, ids: RaftIds, events: OwnLogEvents) {
    this.#ports = ports;
    this.#ids = ids;
    this.#events = events;
  }

  /** Undefined if this agent does not belong to the committee, or while its log is opened. */
  get current(): DecisionLog | undefined {
    return this.#current;
  }

  /** The log, while this agent is the leader. */
  get leading(): DecisionLog | undefined {
    return this.#current?.state.state === 'StateLeader' ? this.#current : undefined;
  }

  /** Opens the log of a member of the committee; the founder of the swarm starts it. */
  async resume(isFounderAlone: boolean): Promise<void> {
    const { store } = this.#ports;
    const isThere = (await store.get(LOG_KEY)) !== undefined || (await store.get(FOUNDER_KEY)) !== undefined;
    // Old versions did not record the founder. A member that is alone must be the founder, unless its disk was lost: then it has no audit.
    const isFounder = !isThere && isFounderAlone && (await store.get(HEAD_KEY)) !== undefined;
    if (isFounder) await store.write([{ kind: 'put', key: FOUNDER_KEY, value: new Uint8Array() }]);
    if (isThere || isFounder) await this.open();
  }

  /** Opens it, or creates an empty one that the leader fills. */
  open(): Promise<DecisionLog> {
    if (this.#current !== undefined) return Promise.resolve(this.#current);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<DecisionLog> {
    const { store, random, crypto, clock, transport } = this.#ports;
    const stored = decodeCbor((await store.get(LOG_KEY)) ?? encodeCbor(null));
    const founding = await store.get(FOUNDER_KEY);
    const number = typeof stored === 'number' ? stored : drawLog(random);
    if (number !== stored) await store.write([{ kind: 'put', key: LOG_KEY, value: encodeCbor(number) }]);
    const id = this.#ids.idOf(transport.self, number);
    const rttMs = (): number => this.#events.rttMs();
    const ports = { clock, random, crypto, rttMs, store: within(store, `committee/${number}/`) };
    try {
      const beginning = founding && beginningOf(id, founding);
      const log = await ReplicatedLog.open(id, beginning, new DecisionState(), ports, this.#logEvents());
      if (this.#stopped) log.stop();
      this.#current = log;
      this.#events.opened();
      return log;
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      this.#events.log('warn', `${error.message}; starting a new log`);
      const another = anotherLog(number);
      await store.write([
        { kind: 'put', key: LOG_KEY, value: encodeCbor(another) },
        { kind: 'delete', key: FOUNDER_KEY },
      ]);
      return this.#open();
    }
  }

  #logEvents() {
    const { send, changed, applied, log } = this.#events;
    return {
      send,
      changed,
      applied,
      diskFails: (why: string | undefined) =>
        log('warn', why === undefined ? 'the committee log is writable again' : `cannot write the committee log: ${why}`),
      failed: (error: unknown) => this.#failed(error),
    };
  }

  /** After a broken invariant: this member is silent for 10 s, and continues from its disk. */
  #failed(error: unknown): void {
    this.failures++;
    this.#current = undefined;
    this.#events.log('warn', `the committee log has stopped: ${messageOf(error)}`);
    this.#ports.clock.after(OPEN_AGAIN_MS, () => {
      if (!this.#stopped) this.open().catch((again: unknown) => this.#events.failed(again));
    });
  }

  /**
   * Ends the log by a recovery of root keys that this agent has not followed yet: the next log that is opened is a new one.
   * @param known the state that the new log starts with, if this agent is its first voter
   * @returns whether there was a new recovery
   */
  async supersede({ subject, epoch, index, term }: Recovery, known: () => Uint8Array): Promise<boolean> {
    const { store, random, transport } = this.#ports;
    const before = decodeCbor((await store.get(RECOVERED_KEY)) ?? encodeCbor(0));
    if (typeof before !== 'number' || before >= epoch || this.#stopped) return false;
    const isIts = subject === transport.self;
    const stored = decodeCbor((await store.get(LOG_KEY)) ?? encodeCbor(null));
    await store.write([
      { kind: 'put', key: RECOVERED_KEY, value: encodeCbor(epoch) },
      { kind: 'put', key: LOG_KEY, value: encodeCbor(anotherLog(typeof stored === 'number' ? stored : drawLog(random))) },
      isIts ? { kind: 'put', key: FOUNDER_KEY, value: encodeCbor([index, term, known()]) } : { kind: 'delete', key: FOUNDER_KEY },
    ]);
    await this.#opening?.catch(() => undefined);
    this.#current?.stop();
    this.#current = undefined;
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#current?.stop();
  }
}
