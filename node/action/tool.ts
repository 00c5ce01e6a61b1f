// What a tool declares. A tool that changes something declares its snapshot, its steps, their undo, and its verification; the same
// transaction runs all tools. A read-only tool declares what it reads.
import { z } from 'zod';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Actuator, ServiceSample, Step } from '../ports/actuator.ts';
import type { Sensors } from '../ports/sensors.ts';
import { sysctlPath } from '../sysctl-key.ts';
import type { ToolCall } from '../tool-call.ts';

/** R0 reads; R1 is local and reversible; R2 disrupts; R3 is irreversible. */
export const RISK_CLASSES = ['R0', 'R1', 'R2', 'R3'] as const;
export type RiskClass = (typeof RISK_CLASSES)[number];

/** The state before: enough to undo the change, and to verify it afterwards. */
export type Snapshot = Readonly<Record<string, string | number | null>>;
export const snapshotSchema = z.record(z.string(), z.union([z.string(), z.number(), z.null()]));

export interface Machine {
  actuator: Actuator;
  sensors: Sensors;
  crypto: Pick<Crypto, 'hash'>;
  /** How many members of the swarm are reachable. */
  peers(): number;
}

/** A look at a tool's target: its state, or why it is unavailable. */
export type Look = { ok: true; before: Snapshot } | { ok: false; reason: string };

/** `as-intended`: a new look shows what the tool intended. node/verification checks the others. */
export type Condition =
  | 'service-well'
  | 'service-stopped'
  | 'task-succeeded'
  | 'process-ended'
  | 'files-gone'
  | 'signal-effective'
  | 'program-succeeded'
  | 'peers-kept'
  | 'as-intended';

interface Declared<Call> {
  name: string;
  version: number;
  description: string;
  /** Schema of the call, with its tool's name. Numbers may be text, from a command line. */
  input: z.ZodType;
  /** What the actuator must be allowed to do. */
  capability: string;
  /** What the call changes or reads: one action at a time on a target, and one rate for each. */
  target(call: Call): string;
  /** The possible classes, by target. */
  risks: readonly RiskClass[];
  risk(call: Call): RiskClass;
}

export interface ReadTool<Call = ToolCall> extends Declared<Call> {
  kind: 'read';
  /** @returns the answer as data, or why there is none */
  read(call: Call, machine: Machine): Promise<{ ok: true; value: unknown } | { ok: false; reason: string }>;
}

export interface ChangeTool<Call = ToolCall> extends Declared<Call> {
  kind: 'change';
  /** What it may harm if it fails, for people. */
  blastRadius: string;
  /** What must be true afterwards, for how long without a break, and within which time. */
  verification: { condition: Condition; stableMs: number; windowMs: number };
  timeoutMs: number;
  /** It helps gradually, or only once it is confirmed: it is kept although its finding is still true. */
  gradual?: boolean;
  /** Maximum of uses on one target within the time; beyond it the incident is escalated. */
  rate: { uses: number; withinMs: number };
  /** The snapshot. */
  look(call: Call, machine: Machine): Promise<Look>;
  /** The precondition: why it must not run on this state; undefined if it may. */
  refusal?(call: Call, before: Snapshot): string | undefined;
  /** What it would change, a line each. */
  dryRun(call: Call, before: Snapshot, machine: Machine): string[] | Promise<string[]>;
  /** At least one; each with the primitive that undoes it. */
  steps(call: Call, before: Snapshot): Step[];
  /** For `as-intended`: what a look must show. */
  intended?(call: Call, before: Snapshot, machine: Machine): Snapshot;
  /** The call that undoes a confirmed change; undefined if nothing does. @param key of its first step, and of its archived backups */
  inverse(call: Call, before: Snapshot, key: string): ToolCall | undefined;
}

export type Tool = ReadTool | ChangeTool;

/** The call after its tool's schema, `tool` included. */
type CallOf<Input extends z.ZodType> = z.infer<Input> & { tool: string };

/** Types a change tool's functions by its own schema. */
export function changeTool<Input extends z.ZodType>(
  input: Input,
  declared: Omit<ChangeTool<CallOf<Input>>, 'kind' | 'input'>,
): ChangeTool {
  return { kind: 'change', input, ...declared } as unknown as ChangeTool;
}

export function readTool<Input extends z.ZodType>(
  input: Input,
  declared: Omit<ReadTool<CallOf<Input>>, 'kind' | 'input'>,
): ReadTool {
  return { kind: 'read', input, ...declared } as unknown as ReadTool;
}

export const ORDINARY_RATE = { uses: 3, withinMs: 300_000 };
/** For settings: the kernel applies and shows them immediately. */
export const SETTING = {
  verification: { condition: 'as-intended' as const, stableMs: 500, windowMs: 5_000 },
  timeoutMs: 10_000,
  rate: ORDINARY_RATE,
};

/** One name, never a pattern: an empty name or `*` never means all. */
export const plainName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._@:-]*$/, 'one plain name: no wildcard, no path, no leading dash');

/** In the form that rules are compared with: separated by dots. */
export const sysctlName = z
  .string()
  .max(64)
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9_@:-]*(\.[A-Za-z0-9._@:/-]+)?$/,
    'a key such as vm.swappiness; in the name of a VLAN interface a slash stands for its dot: net.ipv4.conf.eth0/100.rp_filter',
  )
  .refine((key) => sysctlPath(key) !== undefined, 'a key without empty parts');

/** Absolute and normal: no `.`, no `..`, no wildcard. */
export const plainPath = z
  .string()
  .max(1_024)
  .regex(/^(\/[^/\p{Cc}]+)+$/u, 'an absolute path without empty parts or control characters')
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'a path without . and ..')
  .refine((path) => !/[*?]/.test(path), 'one path: no wildcard');

/** A whole number, also as text; an empty text is not one. */
export function wholeNumber(min: number, max: number) {
  return asNumber(z.number().int().min(min).max(max));
}

export function asNumber(schema: z.ZodNumber) {
  return z
    .union([
      z.number(),
      z
        .string()
        .regex(/^-?\d+(\.\d+)?$/, 'a number')
        .transform(Number),
    ])
    .pipe(schema);
}

export function findService(machine: Machine, name: string): ServiceSample | undefined {
  return machine.actuator.services().find((service) => service.name === name);
}
