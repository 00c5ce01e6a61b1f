// The status that every peer has of every peer: at most 250 bytes with its envelope, so integers in a CBOR array.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';

export const MAX_STATUS_BYTES = 250;
const STATUS_VERSION = 2;
/** The previous version, without the index of decisions. */
const VERSION_BEFORE = 1;
const MAX_NAME_LENGTH = 24;
const MAX_ADDRESS_BYTES = 40;

/** Kubernetes' three values; everything starts Unknown. */
export const CONDITION_STATUSES = ['Unknown', 'True', 'False'] as const;
export type ConditionStatus = (typeof CONDITION_STATUSES)[number];

/** The conditions that travel in a status, by position. Append only. */
export const STATUS_CONDITIONS = [
  'Ready',
  'ServicesReady',
  'CpuPressure',
  'MemoryPressure',
  'IoPressure',
  'DiskPressure',
  'Anomalous',
] as const;
export type StatusCondition = (typeof STATUS_CONDITIONS)[number];

/** What an agent does by itself, by position; `halted`: its kill switch is on. Append only. */
export const STATUS_MODES = ['observe', 'act', 'advise', 'halted'] as const;
export type StatusMode = (typeof STATUS_MODES)[number];

/** Conditions that are healthy when `True`; all others are healthy when `False`. */
const GOOD_WHEN_TRUE: ReadonlySet<string> = new Set(['Ready', 'ServicesReady'] satisfies StatusCondition[]);

/** `Unknown` is not bad. */
export const isBadCondition = (name: string, status: string): boolean =>
  status !== 'Unknown' && status !== (GOOD_WHEN_TRUE.has(name) ? 'True' : 'False');

export interface Status {
  name: string;
  version: string;
  /** Wall clock of the sender. */
  atMs: number;
  /** Reserved for zones: 0 until they exist. */
  zone: number;
  /** An address to dial this peer at, as text without the peer id; empty if it has none. */
  address: string;
  /** The one-minute load average in hundredths; undefined if unknown. */
  loadCenti: number | undefined;
  /** Used memory in thousandths of the total. */
  memoryPermille: number | undefined;
  /** CPU in use in thousandths of all CPUs. */
  cpuPermille: number | undefined;
  /** PSI some avg10 in hundredths of a percent: CPU, memory, I/O. */
  pressureCenti: readonly (number | undefined)[];
  conditions: Readonly<Record<StatusCondition, ConditionStatus>>;
  openIncidents: number;
  /** The coordinator's term as this peer knows it, and whether it is the coordinator itself. */
  term: number;
  coordinator: boolean;
  mode: StatusMode;
  /** The index in the committee's log of the newest decision that it knows. */
  decided: number;
}

const figure = z.number().int().nonnegative().nullable();
const wireSchema = z.tuple([
  z.union([z.literal(STATUS_VERSION), z.literal(VERSION_BEFORE)]),
  z.string().max(MAX_NAME_LENGTH),
  z.string().max(12),
  z.number().int(),
  z.number().int().nonnegative(),
  z.string().max(MAX_ADDRESS_BYTES),
  figure,
  figure,
  figure,
  z.array(figure).length(3),
  z.array(z.number().int().min(0).max(2)).max(32),
  z.number().int().nonnegative(),
  z.number().int().nonnegative(),
  z.boolean(),
  z
    .number()
    .int()
    .min(0)
    .max(STATUS_MODES.length - 1),
  z.number().int().nonnegative().optional(),
]);

const orNull = (value: number | undefined): number | null => (value === undefined ? null : Math.max(0, Math.round(value)));
const orUndefined = (value: number | null): number | undefined => value ?? undefined;

export function encodeStatus(status: Status): Uint8Array {
  return encodeCbor([
    STATUS_VERSION,
    status.name.slice(0, MAX_NAME_LENGTH),
    status.version,
    Math.round(status.atMs),
    status.zone,
    status.address.slice(0, MAX_ADDRESS_BYTES),
    orNull(status.loadCenti),
    orNull(status.memoryPermille),
    orNull(status.cpuPermille),
    status.pressureCenti.map(orNull),
    STATUS_CONDITIONS.map((name) => CONDITION_STATUSES.indexOf(status.conditions[name])),
    status.openIncidents,
    status.term,
    status.coordinator,
    STATUS_MODES.indexOf(status.mode),
    status.decided,
  ]);
}

/** As in envelope.ts: decoded statuses of bytes that are still in memory. */
const decoded = new WeakMap<Uint8Array, Status>();

/** Undefined if the payload is not a status of a supported version. */
export function decodeStatus(payload: Uint8Array): Status | undefined {
  const known = decoded.get(payload);
  if (known !== undefined) return known;
  const status = decodeUncached(payload);
  if (status !== undefined) decoded.set(payload, status);
  return status;
}

function decodeUncached(payload: Uint8Array): Status | undefined {
  const wire = wireSchema.safeParse(decodeCbor(payload));
  if (!wire.success) return undefined;
  const [
    ,
    name,
    version,
    atMs,
    zone,
    address,
    load,
    memory,
    cpu,
    pressure,
    conditions,
    openIncidents,
    term,
    coordinator,
    mode,
    decided,
  ] = wire.data;
  return {
    name,
    version,
    atMs,
    zone,
    address,
    loadCenti: orUndefined(load),
    memoryPermille: orUndefined(memory),
    cpuPermille: orUndefined(cpu),
    pressureCenti: pressure.map(orUndefined),
    conditions: Object.fromEntries(
      STATUS_CONDITIONS.map((condition, index) => [condition, CONDITION_STATUSES[conditions[index] ?? 0] ?? 'Unknown']),
    ) as Record<StatusCondition, ConditionStatus>,
    openIncidents,
    term,
    coordinator,
    mode: STATUS_MODES[mode] ?? 'observe',
    decided: decided ?? 0,
  };
}

/** Whether a change is sent immediately: a condition, or a field that agents act on. Figures are not, or a noisy machine would send all the time. */
export function isNews(before: Status, now: Status): boolean {
  const hasChanged = (['openIncidents', 'term', 'coordinator', 'mode', 'address', 'name'] as const).some(
    (key) => before[key] !== now[key],
  );
  const isDecided = now.coordinator && now.decided !== before.decided;
  return hasChanged || isDecided || STATUS_CONDITIONS.some((name) => before.conditions[name] !== now.conditions[name]);
}

export function unknownConditions(): Record<StatusCondition, ConditionStatus> {
  return Object.fromEntries(STATUS_CONDITIONS.map((name) => [name, 'Unknown'])) as Record<StatusCondition, ConditionStatus>;
}
