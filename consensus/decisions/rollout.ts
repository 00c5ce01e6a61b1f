// Something new for all machines: it is tried on a few first, then taken by the others, wave after wave, and goes back where it does harm;
// the last good one is kept. Who may push one has signed it, and when: a coordinator that lies can hold it back, and can neither make
// another nor bring back one that was taken back.
import { z } from 'zod';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const MAX_REPORTS = 256;
/** Canaries may take so much longer than they are to watch it; then it goes back. */
const PATIENCE_MS = 120_000;
const KEY_CHARS = 32;
/** What was pushed later than that from now was not: whoever coordinates may have made it up, and nothing would come after it. */
const FUTURE_MS = 86_400_000;

/** Of whatever is pushed. */
export const pushedShape = {
  id: z.string(),
  by: z.string(),
  atMs: z.number(),
  /** By the clock of whoever pushed it: signed. Absent where a version before 0.3.0 did. */
  pushedMs: z.number().optional(),
  signature: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === SIGNATURE_BYTES),
};
export type Pushed = z.infer<z.ZodObject<typeof pushedShape>>;

const reportSchema = z.strictObject({ peer: z.string(), ok: z.boolean(), reason: z.string() });
export type Report = z.infer<typeof reportSchema>;

/** Of what is being tried. */
export const trialShape = {
  canary: z.array(z.string()),
  soakMs: z.number(),
  phase: z.enum(['canary', 'wave', 'all']),
  /** Since when it is in this phase, or in this wave. */
  sinceMs: z.number(),
  /** Of this phase, or this wave. */
  reports: z.array(reportSchema),
  /** Whose turn it is now, after the canaries, and whose it was before: where it goes in waves. */
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

/** As a state is kept. @param pushed what is pushed @param tried that, and how it is tried */
export const rolloutSchema = <P extends z.ZodType, T extends z.ZodType>(pushed: P, tried: T) =>
  z.strictObject({
    good: pushed.nullable(),
    before: pushed.nullable(),
    candidate: tried.nullable(),
    /** What became of the last one. */
    ended: endedSchema.nullable(),
    /** When the newest was pushed that ever was: none that is older comes after it. */
    newestMs: z.number().optional(),
  });

/** How it is to be tried. */
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
  /** Of what is being tried. */
  id: string;
  atMs: number;
}

/** What it is called, how a content is told from how it is tried, and what of it is signed. */
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

  /** What a member is to have. */
  wantedBy(peer: PeerId): Content | undefined {
    const { candidate, good } = this.#state;
    return (candidate !== null && isTurnOf(candidate, peer) ? candidate : good) ?? undefined;
  }

  /** Each of these @returns why it is not so; nothing has changed then. */
  push(content: Content & How & HowTried): string | undefined {
    const { candidate } = this.#state;
    if (candidate !== null) return `${this.kind.name} ${candidate.id.slice(0, 8)} is being tried`;
    if (new Set(content.canary).size < content.canary.length) return 'a canary is named twice';
    const { pushedMs, atMs } = content;
    if ((pushedMs ?? 0) <= believedMs(this.#state, atMs)) return 'it is older than what was pushed since';
    if (pushedMs !== undefined) this.#state = { ...this.#state, newestMs: pushedMs };
    this.#state = { ...this.#state, candidate: { ...content, phase: 'canary', sinceMs: content.atMs, reports: [] } };
    return undefined;
  }

  report(id: string, { peer, ok, reason }: Report): string | undefined {
    const candidate = this.#candidate(id);
    if (candidate === undefined) return `no such ${this.kind.name} is being tried`;
    if (!isTurnOf(candidate, peer))
      return candidate.phase === 'canary' ? 'only the canaries say how it does' : 'it is not its turn';
    const others = candidate.reports.filter((one) => one.peer !== peer);
    if (others.length >= MAX_REPORTS) return 'enough is known of it';
    this.#state = { ...this.#state, candidate: { ...candidate, reports: [...others, { peer, ok, reason }] } };
    return undefined;
  }

  /** As versions before 0.3.0 decided it of bundles: from the canaries to all, or from all to the last good one. */
  advance({ id, atMs }: About): string | undefined {
    const candidate = this.#candidate(id);
    const why = this.#notYet(candidate, atMs);
    if (candidate === undefined || why !== undefined) return why;
    if (candidate.phase !== 'canary') return this.#everywhere(candidate, atMs);
    this.#state = { ...this.#state, candidate: { ...candidate, phase: 'all', sinceMs: atMs, reports: [] } };
    return undefined;
  }

  /** On to the next ones; to all that are left, where there are none: only where nothing speaks against it, whoever coordinates. */
  advanceTo({ id, atMs }: About, next: readonly PeerId[]): string | undefined {
    const candidate = this.#candidate(id);
    const why = this.#notYet(candidate, atMs);
    if (candidate === undefined || why !== undefined) return why;
    if (candidate.phase === 'wave' && missingOf(candidate).length * 2 > turnOf(candidate).length)
      return 'most of this wave have not said how it does';
    if (next.length === 0) return this.#everywhere(candidate, atMs);
    if (next.some((peer) => isTurnOf(candidate, peer))) return 'it was the turn of one of these already';
    const before = [...(candidate.before ?? []), ...(candidate.wave ?? [])];
    const wave = { phase: 'wave' as const, sinceMs: atMs, reports: [], wave: [...next], before };
    this.#state = { ...this.#state, candidate: { ...candidate, ...wave } };
    return undefined;
  }

  #notYet(candidate: (Content & How & Trial) | undefined, atMs: number): string | undefined {
    if (candidate === undefined) return `no such ${this.kind.name} is being tried`;
    if (atMs - candidate.sinceMs < candidate.soakMs) return 'it has not been watched for long enough';
    if (candidate.reports.some(({ ok }) => !ok)) return 'somebody says that it does harm';
    const isShort = candidate.phase === 'canary' && missingOf(candidate).length > 0;
    return isShort ? 'not all canaries have said how it does' : undefined;
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
    else return `no such ${this.kind.name} is being tried, or in force`;
    return undefined;
  }

  #candidate(id: string): (Content & How & Trial) | undefined {
    const { candidate } = this.#state;
    return candidate?.id === id ? candidate : undefined;
  }
}

/** Whose turn it is now. */
export const turnOf = ({ phase, canary, wave }: Trial): readonly PeerId[] => (phase === 'canary' ? canary : (wave ?? []));

/** Whether a member is to have it. */
export const isTurnOf = ({ phase, canary, wave = [], before = [] }: Trial, peer: PeerId): boolean =>
  phase === 'all' || [canary, wave, before].some((some) => some.includes(peer));

/** Whether a member has yet to say how it does: once, and once more where it turns out to be bad. */
export function wantsReport(trial: Trial, peer: PeerId, ok: boolean): boolean {
  const before = trial.reports.find((report) => report.peer === peer);
  return isTurnOf(trial, peer) && (ok ? turnOf(trial).includes(peer) && before === undefined : before?.ok !== false);
}

/** Those whose turn it is, and who did not say yet how it does. */
export const missingOf = (trial: Trial): PeerId[] =>
  turnOf(trial).filter((peer) => trial.reports.every((report) => report.peer !== peer));

// What a machine knows of what was pushed

/** The newest that it has seen, and those of now: what has gone from these, and is not newer, is of the past, and stays there. */
export const knownSchema = z.strictObject({ newestMs: z.number(), keys: z.array(z.string()) });
export type Known = z.infer<typeof knownSchema>;
export const NOTHING_KNOWN: Known = { newestMs: -1, keys: [] };

/** When the newest was pushed, where that can be. */
export const believedMs = ({ newestMs = -1 }: Pick<RolloutState<Pushed>, 'newestMs'>, nowMs: number): number =>
  newestMs > nowMs + FUTURE_MS ? -1 : newestMs;

/** What tells one from another, whatever the decision about it is called. */
export const keyOf = <Content extends Pushed>(crypto: Crypto, swarmId: string, kind: Kind<Content>, content: Content): string =>
  toHex(crypto.hash(kind.bytesOf(swarmId, content))).slice(0, KEY_CHARS);

/** After a look at what is decided now. @param contents of now, each signed by who may @param newestMs as it is decided */
export function knownNow(before: Known, contents: readonly { key: string; pushedMs: number }[], newestMs: number): Known {
  const ofNow = contents.filter(({ key, pushedMs }) => pushedMs > before.newestMs || before.keys.includes(key));
  return {
    newestMs: Math.max(before.newestMs, newestMs, ...ofNow.map(({ pushedMs }) => pushedMs)),
    keys: [...new Set(ofNow.map(({ key }) => key))],
  };
}

/** Whether who is said to have pushed it did. Whether that one may, the roster tells. */
export const isSigned = <Content extends Pushed>(
  crypto: Pick<Crypto, 'verify'>,
  swarmId: string,
  kind: Kind<Content>,
  content: Content,
): boolean => crypto.verify(content.by, kind.bytesOf(swarmId, content), content.signature);

/** Whether it has taken so long that it goes back. */
export const isLate = ({ sinceMs, soakMs }: Trial, nowMs: number): boolean => nowMs - sinceMs - soakMs > PATIENCE_MS;
