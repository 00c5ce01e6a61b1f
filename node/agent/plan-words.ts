// Plans and what goes wrong with them, in words.
import { z } from 'zod';
import type { ActuatorOutcome } from '../../swarm/ports/actuator.ts';
import { describeCall } from '../action/tools.ts';
import type { Plan } from '../decision/plan.ts';

/** No answer is an outcome too: the unknown one. */
export function settled(outcome: Promise<ActuatorOutcome>): Promise<ActuatorOutcome> {
  return outcome.catch((error: unknown) => ({ ok: false, code: 'unknown', message: messageOf(error) }));
}

export function describePlan({ calls }: Plan): string {
  return calls.map(describeCall).join(', ');
}

export function invalid(message: string): z.ZodError {
  return new z.ZodError([{ code: 'custom', path: [], message, input: undefined }]);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
