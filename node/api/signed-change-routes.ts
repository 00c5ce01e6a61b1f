// Routes of changes that cannot be undone: drafted here, signed by two operators elsewhere, executed here.
import { z } from 'zod';
import { MAX_CHANGE_MS, type SignedChange, signedChangeSchema } from '../action/signed-change.ts';
import type { Agent } from '../agent/agent.ts';
import { ChangeRefused } from '../agent/signed-changes.ts';
import { outcomeOf } from './outcome.ts';
import { type Failure, failed, ok, post, type Reply, type Route } from './route.ts';

const HOUR_MS = 3_600_000;
const draftSchema = z.strictObject({
  calls: z.array(z.record(z.string(), z.unknown())).min(1),
  reason: z.string().min(1).max(200),
  forMs: z.number().int().min(60_000).max(MAX_CHANGE_MS).default(HOUR_MS),
});

/** Answers 409 with the reason of a refusal. */
async function orRefused<Done extends Reply>(work: () => Promise<Done>): Promise<Done | Failure<409>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ChangeRefused) return failed(409, error.message);
    throw error;
  }
}

const signedChange = signedChangeSchema.meta({ id: 'SignedChange' });
const performedAnswer = z.strictObject({
  plan: z.string().describe('Its id'),
  result: z.string().describe('confirmed, undone or failed; or the guard’s verdict if nothing was done'),
  detail: z.string(),
});

export const SIGNED_CHANGE_ROUTES: readonly Route[] = [
  post(
    '/v1/changes/draft',
    'Drafts a change that two operators must sign',
    draftSchema,
    { tag: 'actions', answer: signedChange, failures: [409] },
    (agent: Agent, { calls, reason, forMs }) =>
      orRefused(async () => ok(await agent.parts.signedChanges.draft(calls, reason, forMs))),
  ),
  post(
    '/v1/changes/commit',
    'Executes a change that two operators signed',
    signedChange,
    { tag: 'actions', answer: performedAnswer, failures: [409] },
    (agent: Agent, change: SignedChange) =>
      orRefused(async () => {
        const performed = await agent.parts.signedChanges.commit(change);
        return ok({ plan: performed.plan, ...outcomeOf(performed) });
      }),
  ),
];
