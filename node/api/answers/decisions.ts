// Answers of the local API about decisions: the leader, the log, the decisions in force, and roll-outs.
import { z } from 'zod';
import { budgetShape } from '../../../consensus/decisions/budgets.ts';
import { grantShape } from '../../../consensus/decisions/grants.ts';
import { placementSchema } from '../../../consensus/decisions/placements.ts';
import { endedSchema, trialShape } from '../../../consensus/decisions/rollout.ts';
import { READS } from '../../decisions/reads.ts';
import { count, milliseconds, node, peer, wallMs } from './units.ts';

const asOf = {
  read: z.enum(READS).describe('Read level: local, leader lease or linearizable'),
  index: count.describe('Index of the newest decision that this agent knows'),
  term: count,
};

export const novaAnswer = z
  .strictObject({
    ...asOf,
    coordinator: z.string().nullable(),
    roster: z
      .strictObject({
        epoch: count,
        members: count,
        atMs: wallMs,
        isSame: z.boolean().describe('Whether this agent has the same roster'),
      })
      .nullable(),
    seat: z.enum(['voter', 'learner', 'follower']).describe('Seat of this agent in the committee'),
    committee: z.array(z.strictObject({ node, seat: z.string(), leads: z.boolean(), behind: z.number().nullable() })),
    vouchedFor: z.strictObject({ index: count, voters: z.array(node), signatures: count }).nullable(),
    paused: z.array(z.strictObject({ peer, by: peer, atMs: wallMs, reason: z.string(), node })),
    silences: z.array(
      z.strictObject({
        id: z.string(),
        by: peer,
        policy: z.string().nullable(),
        target: z.string().nullable(),
        untilMs: wallMs,
        reason: z.string(),
      }),
    ),
    leases: z.array(z.strictObject({ id: z.string(), peer, plan: z.string(), untilMs: wallMs, fence: count, node })),
    quarantined: z.array(z.strictObject({ node, by: node, atMs: wallMs })),
    drained: z.array(z.strictObject({ node, by: node, untilMs: wallMs, reason: z.string() })),
    placements: z.array(placementSchema.extend({ node: z.string().nullable() })),
  })
  .meta({ id: 'Nova' });
export type NovaAnswer = z.infer<typeof novaAnswer>;

export const logAnswer = z
  .strictObject({
    ...asOf,
    decisions: z.array(
      z.strictObject({
        index: count,
        term: count,
        id: z.string(),
        kind: z.string(),
        by: node,
        atMs: wallMs,
        what: z.string().describe('The decision as text'),
      }),
    ),
  })
  .meta({ id: 'Log' });
export type LogAnswer = z.infer<typeof logAnswer>;

export const decisionAnswer = z.strictObject({
  ...asOf,
  decision: z.record(z.string(), z.unknown()).describe('The fields of its kind, by name; bytes in hex'),
  what: z.string().describe('The decision as text'),
});

/** Null: all machines without their own budget. */
export const budgetsAnswer = z.strictObject({
  budgets: z.array(
    z.strictObject({
      node: z.string().nullable().describe('Null: all machines without their own budget'),
      by: node,
      atMs: wallMs,
      reason: z.string(),
      changes: budgetShape.changes,
      withinMs: budgetShape.withinMs,
    }),
  ),
});
export type BudgetAnswer = z.infer<typeof budgetsAnswer>['budgets'][number];

const { signature: _signature, ...granted } = grantShape;
export const grantsAnswer = z.strictObject({
  grants: z.array(z.strictObject({ id: z.string(), by: z.string(), reason: z.string(), ...granted, node })),
});
export type GrantAnswer = z.infer<typeof grantsAnswer>['grants'][number];

const pushed = { id: z.string(), by: node, atMs: wallMs };
const trial = {
  phase: trialShape.phase,
  canary: z.array(node),
  turn: z.array(node).describe('Members of the current wave'),
  done: z.array(node).describe('Members of earlier waves'),
  soakMs: milliseconds,
  sinceMs: wallMs,
  reports: z.array(z.strictObject({ node, ok: z.boolean(), reason: z.string() })),
};
const rollout = <Shape extends z.ZodRawShape>(shown: Shape) => ({
  good: z.strictObject({ ...pushed, ...shown }).nullable(),
  before: z.strictObject({ ...pushed, ...shown }).nullable(),
  candidate: z.strictObject({ ...pushed, ...shown, ...trial }).nullable(),
  ended: endedSchema.nullable(),
});

export const bundlesAnswer = z.strictObject(rollout({ policies: z.array(z.string()) })).meta({ id: 'Bundles' });
export const upgradesAnswer = z
  .strictObject({
    ...rollout({ version: z.string(), digest: z.string() }),
    versions: z.array(z.strictObject({ node, version: z.string() })),
  })
  .meta({ id: 'Upgrades' });
export const bundlePushedAnswer = z.strictObject({ index: count, bundle: z.string(), canary: z.array(node) });
export const upgradePushedAnswer = z.strictObject({
  index: count,
  upgrade: z.string(),
  version: z.string(),
  canary: z.array(node),
});
