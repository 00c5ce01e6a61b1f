// Routes of budgets: how many changes policies may make on a machine within a time.
import { z } from 'zod';
import { budgetShape } from '../../consensus/decisions/budgets.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Agent } from '../agent/agent.ts';
import { type BudgetAnswer, budgetsAnswer } from './answers/decisions.ts';
import { decide } from './decision-routes.ts';
import { memberNamed } from './known.ts';
import { decidedSchema, get, ok, post, type Route } from './route.ts';

export type { BudgetAnswer };

const reason = z.string().min(1).max(200);
/** Always explicit: one machine, or each machine. */
const whom = z.union([z.strictObject({ node: z.string().min(1) }), z.strictObject({ each: z.literal(true) })]);
const setSchema = z.strictObject({ of: whom, changes: budgetShape.changes, withinMs: budgetShape.withinMs, reason });

function about<Done>(agent: Agent, of: z.infer<typeof whom>, then: (peer: PeerId | null) => Promise<Done>) {
  if ('each' in of) return then(null);
  const member = memberNamed(agent, of.node);
  return 'unknown' in member ? member.unknown : then(member.peer);
}

const DECIDED = { tag: 'decisions', answer: decidedSchema, failures: [404, 409, 503], scope: 'admin' } as const;

/** Changing a budget needs scope admin; reading needs no token. */
export const BUDGET_ROUTES: readonly Route[] = [
  get(
    '/v1/budgets',
    'Budgets: how many changes policies may make',
    { tag: 'decisions', answer: budgetsAnswer },
    ({ swarm: { members }, decisions }) => {
      const all = decisions.state.budgets.all();
      const named = all.map(({ peer, by, ...one }) => ({
        ...one,
        by: members.nameOf(by),
        node: peer === null ? null : members.nameOf(peer),
      }));
      return ok({ budgets: named });
    },
  ),
  post('/v1/budgets', 'Sets the budget of one machine or all', setSchema, DECIDED, (agent, { of, ...budget }) =>
    about(agent, of, (peer) => decide(agent, { kind: 'budget', peer, ...budget })),
  ),
  post('/v1/budgets/lift', 'Removes a budget', z.strictObject({ of: whom, reason }), DECIDED, (agent, { of, reason: why }) =>
    about(agent, of, (peer) => decide(agent, { kind: 'unbudget', peer, reason: why })),
  ),
];
