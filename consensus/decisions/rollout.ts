// A roll-out to all machines: canaries first, then wave after wave; it is rolled back if it fails, and the last good one is kept. The
// member that pushed it signs it with the time. So a leader that lies can delay it, but can neither forge one nor bring back one that was
// rolled back.
import { z } from 'zod';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const MAX_REPORTS = 256;
/** How much longer than the soak time the canaries may take to report; then it is rolled back. */
const PATIENCE_MS = 120_000;
const KEY_CHARS = 32;
/** A push dated further in the future does not count: a leader may have forged the time, and no push could follow it. */
const FUTURE_MS = 86_400_000;

/** Fields of each push. */
export const pushedShape = {
  id: z.string(),
  by: z.string(),
  atMs: z.number(),
  /** By the clock of the member that pushed it: signed. Absent if a version before 0.3.0 pushed it. */
  pushedMs: z.number().optional(),
  signature: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === SIGNATURE_BYTES),
};
export type Pushed = z.infer<z.ZodObject<typeof pushedShape>>;

const reportSchema = z.strictObject({ peer: z.string(), ok: z.boolean(), reason: z.string() });
export type Report = z.infer<typeof reportSchema>;

/** Fields of what is rolling out. */
export const trialShape = {
  canary: z.array(z.string()),
  soakMs: z.number(),
  phase: z.enum(['canary', 'wave', 'all']),
  /** When this phase, or this wave, began. */
  sinceMs: z.number(),
  /** Of this phase or wave. */
  reports: z.array(reportSchema),
  /** The current wave after the canaries, and the members of the waves before it. */
  wave: z.array(z.string()).optional(),
  before: z.array(z.string()).optional(),
};
export type Trial = z.infer<z.ZodObject<typeof trialShape>>;

export const endedSchema = z.strictObject({
  id: z.string(),
  outcome: z.enum(['everywhere', 'back']),
  reason: z.string(),
  atMs: z.number(),
});

/** The stored state. @param pushed what is pushed @param tried that, and how it is rolled out */
export const rolloutSchema = <P extends z.ZodType, T extends z.ZodType>(pushed: P, tried: T) =>
  z.strictObject({
    good: pushed.nullable(),
    before: pushed.nullable(),
    candidate: tried.nullable(),
    /** The outcome of the last one. */
    ended: endedSchema.nullable(),
    /** The time of the newest push ever: an older push is refused. */
    newestMs: z.number().optional(),
  });

/** How it is rolled out. */
export type HowTried = Pick<Trial, 'canary' | 'soakMs'>;

export interface RolloutState<Content extends Pushed, How = unknown> {
  good: Content | null;
  before: Content | null;
  candidate: (Content & How & Trial) | null;
  ended: z.infer<typeof endedSchema> | null;
  newestMs?: number | undefined;
}

export const NOTHING_PUSHED = { good: null, before: null, candidate: null, ended: null };

interface About {
  /** Of what is rolling out. */
  id: string;
  atMs: number;
}

/** Its name, how its content is separated from the roll-out's state, and which bytes are signed. */
export interface Kind<Content extends Pushed, How = unknown> {
  name: 'bundle' | 'upgrade';
  contentOf(candidate: Content & How & Trial): Content;
  bytesOf(swarmId: string, content: Omit<Content, 'id' | 'atMs' | 'signature'>): Uint8Array;
}

export class Rollout<Content extends Pushed, How = unknown> {
  readonly kind: Kind<Content, How>;
  #state: RolloutState<Content, How> = NOTHING_PUSHED;

  constructor(kind: Kind<Content, How>) {
    this.kind = kind;
  }

  get state(): RolloutState<Content, How> {
    return this.#state;
  }

  restore(state: RolloutState<Content, How>): void {
    this.#state = state;
  }

  /** Whether nothing was ever pushed. */
  get isBlank(): boolean {
    return Object.values(this.#state).every((one) => one === null);
  }

  /** What a member should run. */
  wantedBy(peer: PeerId): Content | undefined {
    const { candidate, good } = this.#state;
    return (candidate !== null && isTurnOf(candidate, peer) ? candidate : good) ?? undefined;
  }

  /** Each change @returns a refusal, after which nothing has changed; undefined if it was applied. */
  push(content: Content & How & HowTried): string | undefined {
    const { candidate } = this.#state;
    if (candidate !== null) return `${this.kind.name} ${candidate.id.slice(0, 8)} is still rolling out`;
    if (new Set(content.canary).size < content.canary.length) return 'a canary is listed twice';
    const { pushedMs, atMs } = content;
    if ((pushedMs ?? 0) <= believedMs(this.#state, atMs)) return 'it is older than the newest one pushed';
    if (pushedMs !== undefined) this.#state = { ...this.#state, newestMs: pushedMs };
    this.#state = { ...this.#state, candidate: { ...content, phase: 'canary', sinceMs: content.atMs, reports: [] } };
    return undefined;
  }

  report(id: string, { peer, ok, reason }: Report): string | undefined {
    const candidate = this.#candidate(id);
    if (candidate === undefined) return `no such ${this.kind.name} is rolling out`;
    if (!isTurnOf(candidate, peer))
      return candidate.phase === 'canary' ? 'only canaries may report now' : 'its wave has not begun';
    const others = candidate.reports.filter((one) => one.peer !== peer);
    if (others.length >= MAX_REPORTS) return `it has ${MAX_REPORTS} reports already`;
    this.#state = { ...this.#state, candidate: { ...candidate, reports: [...others, { peer, ok, reason }] } };
    return undefined;
  }

  /** For bundles of versions before 0.3.0: from the canaries to all, and then final. */
  advance({ id, atMs }: About): string | undefined {
    const candidate = this.#candidate(id);
    const why = this.#notYet(candidate, atMs);
    if (candidate === undefined || why !== undefined) return why;
    if (candidate.phase !== 'canary') return this.#everywhere(candidate, atMs);
    this.#state = { ...this.#state, candidate: { ...candidate, phase: 'all', sinceMs: atMs, reports: [] } };
    return undefined;
  }

  /** Starts the next wave; an empty list means all others. Refused if a report or the soak time forbids it, whatever the leader asks for. */
  advanceTo({ id, atMs }: About, next: readonly PeerId[]): string | undefined {
    const candidate = this.#candidate(id);
    const why = this.#notYet(candidate, atMs);
    if (candidate === undefined || why !== undefined) return why;
    if (candidate.phase === 'wave' && missingOf(candidate).length * 2 > turnOf(candidate).length)
      return 'most of this wave have not reported';
    if (next.length === 0) return this.#everywhere(candidate, atMs);
    if (next.some((peer) => isTurnOf(candidate, peer))) return 'one of these was in an earlier wave';
    const before = [...(candidate.before ?? []), ...(candidate.wave ?? [])];
    const wave = { phase: 'wave' as const, sinceMs: atMs, reports: [], wave: [...next], before };
    this.#state = { ...this.#state, candidate: { ...candidate, ...wave } };
    return undefined;
  }

  #notYet(candidate: (Content & How & Trial) | undefined, atMs: number): string | undefined {
    if (candidate === undefined) return `no such ${this.kind.name} is rolling out`;
    if (atMs - candidate.sinceMs < candidate.soakMs) return 'its soak time has not passed';
    if (candidate.reports.some(({ ok }) => !ok)) return 'a member reported harm';
    const isShort = candidate.phase === 'canary' && missingOf(candidate).length > 0;
    return isShort ? 'not all canaries have reported' : undefined;
  }

  #everywhere(candidate: Content & How & Trial, atMs: number): undefined {
    this.#state = {
      ...this.#state,
      good: this.kind.contentOf(candidate),
      before: this.#state.good,
      candidate: null,
      ended: { id: candidate.id, outcome: 'everywhere', reason: '', atMs },
    };
  }

  withdraw({ id, atMs }: About, reason: string): string | undefined {
    const { candidate, good, before } = this.#state;
    const ended = { id, outcome: 'back' as const, reason, atMs };
    if (candidate?.id === id) this.#state = { ...this.#state, candidate: null, ended };
    else if (good?.id === id && candidate === null) this.#state = { ...this.#state, good: before, before: null, ended };
    else return `no such ${this.kind.name} is rolling out or active`;
    return undefined;
  }

  #candidate(id: string): (Content & How & Trial) | undefined {
    const { candidate } = this.#state;
    return candidate?.id === id ? candidate : undefined;
  }
}

/** The canaries, or the current wave. */
export const turnOf = ({ phase, canary, wave }: Trial): readonly PeerId[] => (phase === 'canary' ? canary : (wave ?? []));

/** Whether a member should run it. */
export const isTurnOf = ({ phase, canary, wave = [], before = [] }: Trial, peer: PeerId): boolean =>
  phase === 'all' || [canary, wave, before].some((some) => some.includes(peer));

/** Whether a member has yet to report: once, and a second time if it fails later. */
export function wantsReport(trial: Trial, peer: PeerId, ok: boolean): boolean {
  const before = trial.reports.find((report) => report.peer === peer);
  return isTurnOf(trial, peer) && (ok ? turnOf(trial).includes(peer) && before === undefined : before?.ok !== false);
}

/** Members of the canaries, or of the current wave, that have not reported yet. */
export const missingOf = (trial: Trial): PeerId[] =>
  turnOf(trial).filter((peer) => trial.reports.every((report) => report.peer !== peer));

// What a machine knows of what was pushed

/** The newest push that it has seen, and the current ones: a push that is neither newer nor current does not come back. */
export const knownSchema = z.strictObject({ newestMs: z.number(), keys: z.array(z.string()) });
export type Known = z.infer<typeof knownSchema>;
export const NOTHING_KNOWN: Known = { newestMs: -1, keys: [] };

/** The time of the newest push, unless it is impossible. */
export const believedMs = ({ newestMs = -1 }: Pick<RolloutState<Pushed>, 'newestMs'>, nowMs: number): number =>
  newestMs > nowMs + FUTURE_MS ? -1 : newestMs;

/** Identifies a push by its content, whatever the id of its decision is. */
export const keyOf = <Content extends Pushed>(crypto: Crypto, swarmId: string, kind: Kind<Content>, content: Content): string =>
  toHex(crypto.hash(kind.bytesOf(swarmId, content))).slice(0, KEY_CHARS);

/** The record after the current decisions. @param contents current ones, each with a valid signature @param newestMs as decided */
export function knownNow(before: Known, contents: readonly { key: string; pushedMs: number }[], newestMs: number): Known {
  const ofNow = contents.filter(({ key, pushedMs }) => pushedMs > before.newestMs || before.keys.includes(key));
  return {
    newestMs: Math.max(before.newestMs, newestMs, ...ofNow.map(({ pushedMs }) => pushedMs)),
    keys: [...new Set(ofNow.map(({ key }) => key))],
  };
}

/** Whether the signature is valid. Whether the signer may push, the roster tells. */
export const isSigned = <Content extends Pushed>(
  crypto: Pick<Crypto, 'verify'>,
  swarmId: string,
  kind: Kind<Content>,
  content: Content,
): boolean => crypto.verify(content.by, kind.bytesOf(swarmId, content), content.signature);

/** Whether it has taken too long, so that it is rolled back. */
export const isLate = ({ sinceMs, soakMs }: Trial, nowMs: number): boolean => nowMs - sinceMs - soakMs > PATIENCE_MS;
