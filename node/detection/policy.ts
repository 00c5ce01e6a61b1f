// The schema of a policy: a CEL expression over a machine, service or mount, how long it must be true, and its meaning.
import { z } from 'zod';
import { CLAIM_KINDS } from '../../consensus/vote/claim.ts';
import { STATUS_CONDITIONS } from '../../swarm/state/status.ts';
import { DECLARED_KINDS } from '../telemetry/declared.ts';

export const POLICY_SCOPES = ['machine', 'service', 'mount', ...DECLARED_KINDS] as const;
export type PolicyScope = (typeof POLICY_SCOPES)[number];
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

const MAX_FOR_S = 86_400;
const MAX_EXPRESSION_LENGTH = 1_000;
const MAX_CALLS = 8;
const MAX_ALTERNATIVES = 8;

/**
 * A tool and its arguments, by name. An argument that begins with `$` is a field of the target (`$name`, `$path`); one
 * that begins with `=` is a CEL expression. The tool checks them when it is used.
 */
const callSchema = z
  .looseObject({ tool: z.string().regex(/^[a-z]+\.[a-z]+$/, 'a tool: see kalos tools') })
  .and(z.record(z.string(), z.union([z.string(), z.number()])));

const callsSchema = z.union([callSchema.transform((call) => [call]), z.array(callSchema).min(1).max(MAX_CALLS)]);

const alternativeSchema = z.strictObject({
  /** CEL over the same variables; the remedy applies only if it is true. */
  when: z.string().min(1).max(MAX_EXPRESSION_LENGTH).optional(),
  do: callsSchema,
});
export type Alternative = z.infer<typeof alternativeSchema>;

/** One call, or alternatives in the order in which they are tried; each a plan of calls. */
const remedySchema = z.union([
  callSchema.transform((call): Alternative[] => [{ do: [call] }]),
  z.array(alternativeSchema).max(MAX_ALTERNATIVES),
]);

const policyTestSchema = z.strictObject({
  name: z.string().min(1).max(100),
  /** Facts: metrics by name, and the fields of the target. Missing fields of a service are those of a healthy one. */
  metrics: z.record(z.string(), z.number()).default({}),
  target: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  /** Seconds for which the facts last. */
  for_s: z.number().min(0).max(MAX_FOR_S).default(0),
  fires: z.boolean(),
});

export const policySchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes, at most 40'),
  scope: z.enum(POLICY_SCOPES).default('machine'),
  /** CEL. Variables: `metrics` (map by name) and, by scope, `service`, `mount`, `sysctl`, `file`, `log` or `cleanup`. */
  when: z.string().min(1).max(MAX_EXPRESSION_LENGTH),
  /** Seconds for which the expression must be true before the policy fires. */
  for_s: z.number().min(0).max(MAX_FOR_S).default(0),
  /** Seconds for which it must be false before the policy clears. */
  clear_s: z.number().min(0).max(MAX_FOR_S).default(2),
  /** Seconds after clearing in which it does not fire again. */
  cooldown_s: z.number().min(0).max(MAX_FOR_S).default(0),
  /** False: it is kept, but not evaluated. */
  enabled: z.boolean().default(true),
  /** Thresholds that follow the machine's own normal, as `threshold.NAME`. */
  threshold: z
    .record(
      z.string().regex(/^[a-z_][a-z0-9_]*$/, 'a name such as busy'),
      z
        .strictObject({ metric: z.string(), times: z.number().min(0).max(100).default(3), low: z.number(), high: z.number() })
        .refine(({ low, high }) => low < high, 'low must be below high'),
    )
    .default({}),
  severity: z.enum(SEVERITIES).default('warning'),
  summary: z.string().min(1).max(200),
  condition: z.enum(STATUS_CONDITIONS).optional(),
  claim: z.enum(CLAIM_KINDS).default('anomaly'),
  remedy: remedySchema.default([]),
  /** The tests that `kalos policy test` runs. */
  test: z.array(policyTestSchema).max(100).default([]),
});
export type Policy = z.infer<typeof policySchema>;
export type PolicyInput = z.input<typeof policySchema>;
