// What the local API answers about what the swarm decides: who coordinates, the log, what holds now, and what is pushed to all machines.
import { z } from 'zod';
import { budgetShape } from '../../../consensus/decisions/budgets.ts';
import { grantShape } from '../../../consensus/decisions/grants.ts';
import { placementSchema } from '../../../consensus/decisions/placements.ts';
import { endedSchema, trialShape } from '../../../consensus/decisions/rollout.ts';
import { READS } from '../../decisions/reads.ts';
import { count, milliseconds, node, peer, wallMs } from './units.ts';

const asOf = {
  read: z
    .enum(READS)
    .describe('How current it is: as this agent knows it, within the coordinator’s lease, or by a majority’s word'),
  index: count.describe('The place in the log of the newest decision that this agent knows'),
  term: count,
};

export const novaAnswer = z
  .strictObject({
    ...asOf,
    coordinator: z.string().nullable(),
    roster: z
      .strictObject({ epoch: count, members: count, atMs: wallMs, isSame: z.boolean().describe('Whether this agent’s is that') })
      .nullable(),
    seat: z.enum(['voter', 'learner', 'follower']).describe('Of this agent in the committee'),
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
        what: z.string().describe('In words'),
      }),
    ),
  })
  .meta({ id: 'Log' });
export type LogAnswer = z.infer<typeof logAnswer>;

export const decisionAnswer = z.strictObject({
  ...asOf,
  decision: z.record(z.string(), z.unknown()).describe('Its fields by name, as its kind has them; bytes in hex'),
  what: z.string().describe('In words'),
});

/** Null where it is each machine that has none of its own. */
export const budgetsAnswer = z.strictObject({
  budgets: z.array(
    z.strictObject({
      node: z.string().nullable().describe('Null where it is each machine that has none of its own'),
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
  turn: z.array(node).describe('Whose turn it is'),
  done: z.array(node).describe('Whose it was'),
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
