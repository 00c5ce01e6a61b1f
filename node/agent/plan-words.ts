// Texts for plans and their errors.

import { z } from 'zod';
import { messageOf } from '../../swarm/words.ts';
import { describeCall } from '../action/tools.ts';
import type { Plan } from '../decision/plan.ts';
import type { ActuatorOutcome } from '../ports/actuator.ts';

/** A missing answer is an outcome too: `unknown`. */
export function settled(outcome: Promise<ActuatorOutcome>): Promise<ActuatorOutcome> {
  return outcome.catch((error: unknown) => ({ ok: false, code: 'unknown', message: messageOf(error) }));
}

export function describePlan({ calls }: Plan): string {
  return calls.map(describeCall).join(', ');
}

export function invalid(message: string): z.ZodError {
  return new z.ZodError([{ code: 'custom', path: [], message, input: undefined }]);
}
