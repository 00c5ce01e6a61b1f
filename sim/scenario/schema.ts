// Scenarios as TOML: the machines and links, the scheduled and random faults, and the expectations. docs/SIMULATOR.md describes each key;
// unknown keys are refused with a suggestion.
import { z } from 'zod';
import { KalosError } from '../../node/errors.ts';
import { keysAt, placeOf, unknownKey, wordsOf } from '../../node/issue-words.ts';
import { LIES } from '../liar.ts';
import { REGIONS } from '../network/links.ts';
import { FAULTS, type FaultKind } from './faults.ts';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const MAX_FAULTS = 10_000;
const MAX_SIMULATED_MS = 7 * 24 * UNITS.h;

/** `500ms`, `15s`, `2m`, `1h`, to ms. */
export const durationSchema = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'a duration such as "500ms", "15s", "2m"')
  .transform((text) => {
    const [, count = '', , unit = 's'] = text.match(/^(\d+(\.\d+)?)(ms|s|m|h)$/) ?? [];
    return Number(count) * UNITS[unit as keyof typeof UNITS];
  })
  .refine((ms) => ms <= MAX_SIMULATED_MS, 'a week at most');

const probability = z.number().min(0).max(1);

/** One machine or several: an index (-1 is the last), a list, or a word that is resolved when the fault begins. */
export const selectorSchema = z.union([
  z.number().int(),
  z.array(z.number().int()).min(1),
  z.enum(['all', 'any', 'coordinator', 'minority', 'half']),
  z.string().regex(/^\d+%$/, 'an index, a list of them, all, any, coordinator, minority, half, or a share such as "30%"'),
]);
export type Selector = z.infer<typeof selectorSchema>;

const faultSchema = z.looseObject({
  at: durationSchema,
  kind: z.enum(Object.keys(FAULTS) as [FaultKind, ...FaultKind[]]),
  on: selectorSchema.default('any'),
  for: durationSchema.optional(),
});

const node = z.union([z.number().int(), z.literal('others'), z.literal('all')]);

/** Expectations at the end; absent fields are not checked. */
const expectSchema = z.union([
  z.strictObject({
    node,
    policy: z.string(),
    target: z.string().optional(),
    /** The outcome of the last such incident. */
    outcome: z.string().optional(),
    certified: z.boolean().optional(),
    count: z.number().int().nonnegative().optional(),
    /** Whether a repair was tried. */
    acted: z.boolean().optional(),
  }),
  z.strictObject({ node, service: z.string(), starts: z.number().int().nonnegative() }),
  z.strictObject({ node, path: z.string(), content: z.string() }),
  z.strictObject({ node, path: z.string(), bytes: z.number().int().nonnegative() }),
  z.strictObject({ node, sysctl: z.string(), value: z.string() }),
]);
export type Expectation = z.infer<typeof expectSchema>;

const linkShape = {
  latency_ms: z.number().min(0).max(60_000).optional(),
  jitter_ms: z.number().min(0).max(60_000).optional(),
  loss: probability.optional(),
  duplicate: probability.optional(),
  reorder: probability.optional(),
  bytes_per_s: z.number().positive().optional(),
};

export const scenarioSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes'),
  description: z.string().min(1).max(200),
  min_nodes: z.number().int().min(1).default(4),
  nodes: z.number().int().min(1).default(10),
  duration: durationSchema,
  /** The last part of the duration, without faults. */
  calm: durationSchema.default(60_000),
  /** The kalos.toml of every machine. */
  machine: z.record(z.string(), z.unknown()).default({}),
  network: z.strictObject({ regions: z.array(z.enum(REGIONS)).min(1).optional(), ...linkShape }).default({}),
  clocks: z
    .strictObject({ skew: durationSchema.default(0), drift_ppm: z.number().min(0).max(10_000).default(0) })
    .default({ skew: 0, drift_ppm: 0 }),
  /** The versions of the machines, in turn. */
  versions: z.array(z.string().max(20)).min(1).default(['0.4.0']),
  /** Machines that also send messages of a later version of the protocol. */
  later: z.array(z.number().int().nonnegative()).default([]),
  liar: z.array(z.strictObject({ on: z.number().int(), lies: z.array(z.enum([...LIES, 'silent'])).min(1) })).default([]),
  fault: z.array(faultSchema).max(MAX_FAULTS).default([]),
  drawn: z
    .strictObject({
      kinds: z
        .array(z.enum(Object.keys(FAULTS) as [FaultKind, ...FaultKind[]]))
        .min(1)
        .optional(),
      from: durationSchema.default(20_000),
      /** The mean time between two faults; each run draws its own, between a third and three times of this. */
      every: durationSchema.default(15_000),
    })
    .optional(),
  expect: z.array(expectSchema).default([]),
});
export type Scenario = z.infer<typeof scenarioSchema>;

/** @throws KalosError `config` with every invalid key */
export function parseScenario(document: unknown, origin: string): Scenario {
  const parsed = scenarioSchema.safeParse(document);
  const wrong = parsed.success ? faultsWrong(parsed.data) : parsed.error.issues.flatMap((issue) => describe(issue, document));
  if (wrong.length > 0 || !parsed.success)
    throw new KalosError('config', `${origin}: ${wrong.join('; ')}`, 'see docs/SIMULATOR.md for every key');
  return parsed.data;
}

/** Checks the arguments of faults by their kinds. */
function faultsWrong({ fault, duration, calm }: Scenario): string[] {
  const lastMs = duration - calm;
  return fault.flatMap(({ at, kind, on: _on, for: forMs, ...given }, index) => {
    const place = `fault.[${index + 1}]`;
    const args = z.strictObject(FAULTS[kind].args).safeParse(given);
    const wrong = args.success
      ? []
      : args.error.issues.flatMap((issue) => describe(issue, given, place, Object.keys(FAULTS[kind].args)));
    if (at + (forMs ?? 0) > lastMs) wrong.push(`${place}: must end by ${lastMs / 1000} s, when the recovery phase (calm) begins`);
    return wrong;
  });
}

function describe(issue: z.core.$ZodIssue, document: unknown, under = '', known?: readonly string[]): string[] {
  const prefix = under === '' ? '' : `${under}.`;
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(
      (key) => `${prefix}${placeOf([...issue.path, key])}: ${unknownKey(key, known ?? keysAt(scenarioSchema, issue.path))}`,
    );
  return [`${prefix}${wordsOf({ issues: [issue] } as z.core.$ZodError, document)}`];
}
