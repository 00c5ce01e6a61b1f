// Incidents of other machines, as those reported them: each machine sends its own, signed, to some of its witnesses, which answer for it
// when it is gone. Bounded, and kept over a restart.
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Incident } from '../detection/incident.ts';
import { incidentSchema } from '../memory/memory.ts';
import { readStory, type Story, storyBytes, storySchema } from '../memory/story.ts';
import type { Ports } from '../ports/ports.ts';

const PREFIX = 'story/';
/** Kept in all, and of one machine; the oldest go first. */
const MAX_STORIES = 512;
const MAX_STORIES_OF_ONE = 64;
/** Taken of one machine in a minute. */
const MAX_PER_MINUTE = 60;
const MAX_STORY_BYTES = 32_768;
/** Of a long incident the first and the last steps are sent. */
const FIRST_STEPS = 10;
const LAST_STEPS = 30;
/** Witnesses that are told. */
const MAX_TOLD = 3;
/** What changes within this is told once. */
const TELL_AFTER_MS = 500;
/** Between one and the next, however many are open: witnesses take no more in a minute, and cut off who asks too much of them. */
const TELL_EVERY_MS = 1_100;
/** That wait to be told; beyond it the oldest are left out. */
const MAX_DUE = 256;
const TELL_WITHIN_MS = 2_000;

export interface StoriesEvents {
  witnesses(): readonly PeerId[];
  /** Whether this agent is one of a member's. */
  isWitnessOf(peer: PeerId): boolean;
  tell(peer: PeerId, body: Uint8Array, withinMs: number): Promise<unknown>;
  failed(error: unknown): void;
}

export class Stories {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #events: StoriesEvents;
  /** The newest last. */
  readonly #kept = new Map<string, Story>();
  readonly #taken = new Map<PeerId, number[]>();
  /** Own ones that are about to be told. */
  readonly #due = new Map<string, Incident>();
  #telling = false;
  #stopped = false;

  constructor(ports: Ports, swarmId: string, events: StoriesEvents) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#events = events;
  }

  async open(): Promise<void> {
    const stored = await this.#ports.store.range(PREFIX, { limit: 2 * MAX_STORIES });
    const stories = stored.flatMap(([, bytes]) => {
      const { data } = storySchema.safeParse(decodeCbor(bytes));
      return data === undefined ? [] : [data as Story];
    });
    for (const story of stories.toSorted((a, b) => a.incident.openedMs - b.incident.openedMs))
      this.#kept.set(story.incident.id, story);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Those of others, the oldest first. */
  all(): Incident[] {
    return [...this.#kept.values()].map(({ incident }) => incident);
  }

  of(id: string): Story | undefined {
    return this.#kept.get(id);
  }

  // Telling one's own

  /** How it stands: to some of the witnesses, soon. */
  tell(incident: Incident): void {
    if (this.#stopped) return;
    this.#due.set(incident.id, incident);
    if (this.#due.size > MAX_DUE) this.#due.delete(this.#due.keys().next().value ?? '');
    if (!this.#telling) this.#later(TELL_AFTER_MS);
  }

  /** One after the other, as it stands by then. */
  #later(afterMs: number): void {
    this.#telling = true;
    this.#ports.clock.after(afterMs, () => {
      const [due] = this.#due.values();
      this.#telling = due !== undefined && !this.#stopped;
      if (due === undefined || this.#stopped) return;
      this.#due.delete(due.id);
      this.#send(due);
      this.#later(TELL_EVERY_MS);
    });
  }

  #send(due: Incident): void {
    const { steps } = due;
    const shown = steps.length > FIRST_STEPS + LAST_STEPS ? [...steps.slice(0, FIRST_STEPS), ...steps.slice(-LAST_STEPS)] : steps;
    // As it is read, so that what is signed is what is checked; what no reader would take is not told.
    const read = incidentSchema.safeParse({ ...due, steps: shown });
    if (!read.success) return;
    const incident = read.data as Incident;
    const signature = this.#ports.crypto.sign(storyBytes(this.#swarmId, incident));
    const body = encodeCbor(['keep', { incident, signature }]);
    if (body.length > MAX_STORY_BYTES) return;
    // Who does not hear it now is out of reach; others keep it.
    for (const peer of this.#events.witnesses().slice(0, MAX_TOLD))
      this.#events.tell(peer, body, TELL_WITHIN_MS).catch(() => undefined);
  }

  // Keeping others'

  /** Of a machine that this agent watches, from that machine itself. */
  async keep(from: PeerId, value: unknown): Promise<boolean> {
    const story = readStory(this.#ports.crypto, this.#swarmId, value);
    if (story === undefined || story.incident.node !== from || !this.#events.isWitnessOf(from) || !this.#isInTime(from))
      return false;
    const { id } = story.incident;
    const known = this.#kept.get(id);
    if (known !== undefined && known.incident.node !== from) return false;
    this.#kept.delete(id);
    this.#kept.set(id, story);
    const gone = this.#overflow(from);
    for (const old of gone) this.#kept.delete(old);
    await this.#ports.store.write([
      { kind: 'put', key: PREFIX + id, value: encodeCbor(story) },
      ...gone.map((old) => ({ kind: 'delete' as const, key: PREFIX + old })),
    ]);
    return true;
  }

  #isInTime(from: PeerId): boolean {
    const nowMs = this.#ports.clock.monotonicMs();
    const recent = (this.#taken.get(from) ?? []).filter((ms) => nowMs - ms < 60_000);
    if (recent.length >= MAX_PER_MINUTE) return false;
    this.#taken.set(from, [...recent, nowMs]);
    return true;
  }

  #overflow(of: PeerId): string[] {
    const ids = [...this.#kept.keys()];
    const own = ids.filter((id) => this.#kept.get(id)?.incident.node === of);
    return [...new Set([...own.slice(0, -MAX_STORIES_OF_ONE), ...ids.slice(0, -MAX_STORIES)])];
  }
}
