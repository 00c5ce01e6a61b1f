// The part of the local API about changes that cannot be taken back: drafted here, signed by two operators elsewhere, carried out here.
import { z } from 'zod';
import { MAX_ORDER_MS, orderSchema, type SignedOrder } from '../action/signed-order.ts';
import type { Agent } from '../agent/agent.ts';
import { OrderRefused } from '../agent/signed-orders.ts';
import { outcomeOf } from './outcome.ts';
import { type Failure, failed, ok, post, type Reply, type Route } from './route.ts';

const HOUR_MS = 3_600_000;
const draftSchema = z.strictObject({
  calls: z.array(z.record(z.string(), z.unknown())).min(1),
  reason: z.string().min(1).max(200),
  forMs: z.number().int().min(60_000).max(MAX_ORDER_MS).default(HOUR_MS),
});

/** What is refused is said as such. */
async function orRefused<Done extends Reply>(work: () => Promise<Done>): Promise<Done | Failure<409>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OrderRefused) return failed(409, error.message);
    throw error;
  }
}

const signedOrder = orderSchema.meta({ id: 'SignedOrder' });
const performedAnswer = z.strictObject({
  plan: z.string().describe('Its id'),
  result: z.string().describe('confirmed, undone or failed; or the guard’s verdict where nothing was done'),
  detail: z.string(),
});

export const SIGNED_ORDER_ROUTES: readonly Route[] = [
  post(
    '/v1/orders/draft',
    'What two operators are to sign',
    draftSchema,
    { tag: 'actions', answer: signedOrder, failures: [409] },
    (agent: Agent, { calls, reason, forMs }) => orRefused(async () => ok(await agent.orders.draft(calls, reason, forMs))),
  ),
  post(
    '/v1/orders/commit',
    'Carries out what two operators have signed',
    signedOrder,
    { tag: 'actions', answer: performedAnswer, failures: [409] },
    (agent: Agent, order: SignedOrder) =>
      orRefused(async () => {
        const performed = await agent.orders.commit(order);
        return ok({ plan: performed.plan, ...outcomeOf(performed) });
      }),
  ),
];
