// The data that an agent keeps across restarts: its incidents with their steps, and the results of each remedy on each target.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { RemedyRecord } from '../decision/decide.ts';
import { type Incident, STAGES } from '../detection/incident.ts';
import { SEVERITIES } from '../detection/policy.ts';
import { type Recording, recordingSchema } from '../telemetry/flight-recorder.ts';
import { Cases } from './cases.ts';

const INCIDENT_PREFIX = 'incident/';
const CASE_PREFIX = 'case/';
/** Number of incidents kept; the oldest closed ones are removed first. */
export const MAX_INCIDENTS = 1_000;
const MAX_CASES = 10_000;
const RECORDING_PREFIX = 'recording/';
/** Number of flight recordings kept, of the newest incidents. */
const MAX_RECORDINGS = 200;

/** Maximum of a date, also for incidents of other machines. */
const momentSchema = z.number().min(-8.64e15).max(8.64e15);
const stepSchema = z.strictObject({
  atMs: momentSchema,
  stage: z.enum(STAGES),
  text: z.string(),
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
});

export const incidentSchema = z.strictObject({
  id: z.string().max(32),
  node: z.string().max(64),
  nodeName: z.string().max(64),
  policy: z.string().max(64),
  target: z.string().max(1_024),
  severity: z.enum(SEVERITIES),
  summary: z.string().max(400),
  state: z.enum(['open', 'waiting', 'acting', 'watching', 'resolved', 'escalated']),
  openedMs: momentSchema,
  closedMs: momentSchema,
  outcome: z.string().max(400),
  tool: z.string().max(200),
  cause: z.string().max(32).default(''),
  certificate: z.string().max(32_768),
  steps: z.array(stepSchema).max(200),
});

const caseSchema = z.strictObject({ worked: z.number().int(), failed: z.number().int() });

export class Memory {
  readonly #store: Store;
  readonly #incidents = new Map<string, Incident>();
  readonly #cases = new Map<string, RemedyRecord>();
  readonly cases: Cases;

  constructor(store: Store) {
    this.#store = store;
    this.cases = new Cases(store);
  }

  async open(): Promise<void> {
    await this.cases.open();
    const stored = (await this.#store.range(INCIDENT_PREFIX, { limit: MAX_INCIDENTS })).flatMap(
      ([, bytes]) => (incidentSchema.safeParse(decodeCbor(bytes)).data as Incident | undefined) ?? [],
    );
    // Incidents from before a restart are sorted by their opening; later ones are appended, independent of the wall clock.
    for (const incident of stored.sort((a, b) => a.openedMs - b.openedMs || (a.id < b.id ? -1 : 1)))
      this.#incidents.set(incident.id, incident);
    for (const [key, bytes] of await this.#store.range(CASE_PREFIX, { limit: MAX_CASES })) {
      const parsed = caseSchema.safeParse(decodeCbor(bytes));
      if (parsed.success) this.#cases.set(key, parsed.data);
    }
  }

  /** Newest last. */
  incidents(): Incident[] {
    return [...this.#incidents.values()];
  }

  incident(id: string): Incident | undefined {
    return this.#incidents.get(id);
  }

  /** Stores an incident. */
  async save(incident: Incident): Promise<void> {
    this.#incidents.set(incident.id, incident);
    const drop = this.#overflow();
    for (const old of drop) this.#incidents.delete(old.id);
    await this.#store.write([
      { kind: 'put', key: `${INCIDENT_PREFIX}${incident.id}`, value: encodeCbor(incident) },
      ...drop.flatMap((old) => [
        { kind: 'delete' as const, key: `${INCIDENT_PREFIX}${old.id}` },
        { kind: 'delete' as const, key: `${RECORDING_PREFIX}${old.id}` },
      ]),
    ]);
  }

  /** Stores the minute before an incident. */
  async record(incident: string, recording: Recording): Promise<void> {
    const kept = this.incidents().slice(-MAX_RECORDINGS);
    const gone = this.incidents().at(-MAX_RECORDINGS - 1);
    await this.#store.write([
      ...(kept.some(({ id }) => id === incident)
        ? [{ kind: 'put' as const, key: `${RECORDING_PREFIX}${incident}`, value: encodeCbor(recording) }]
        : []),
      ...(gone === undefined ? [] : [{ kind: 'delete' as const, key: `${RECORDING_PREFIX}${gone.id}` }]),
    ]);
  }

  /** Undefined if none is stored. */
  async recording(incident: string): Promise<Recording | undefined> {
    const bytes = await this.#store.get(`${RECORDING_PREFIX}${incident}`);
    return bytes && recordingSchema.safeParse(decodeCbor(bytes)).data;
  }

  #overflow(): Incident[] {
    const excess = this.#incidents.size - MAX_INCIDENTS;
    if (excess <= 0) return [];
    return this.incidents()
      .filter((incident) => incident.closedMs > 0)
      .slice(0, excess);
  }

  /** The results of `tool` for this policy on this target. */
  remedyRecord(policy: string, target: string, tool: string): RemedyRecord {
    return this.#cases.get(caseKey(policy, target, tool)) ?? { worked: 0, failed: 0 };
  }

  async learn(policy: string, target: string, tool: string, worked: boolean): Promise<RemedyRecord> {
    const before = this.remedyRecord(policy, target, tool);
    const after = { worked: before.worked + (worked ? 1 : 0), failed: before.failed + (worked ? 0 : 1) };
    const key = caseKey(policy, target, tool);
    if (this.#cases.size >= MAX_CASES && !this.#cases.has(key)) return after;
    this.#cases.set(key, after);
    await this.#store.write([{ kind: 'put', key, value: encodeCbor(after) }]);
    return after;
  }
}

function caseKey(policy: string, target: string, tool: string): string {
  return `${CASE_PREFIX}${policy}/${target}/${tool}`;
}
