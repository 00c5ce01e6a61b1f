// What a request names must be there: who misspells a name is told so, and what was probably meant.
import type { Agent } from '../agent.ts';
import { closest, continued } from '../errors.ts';
import { type Failure, failed } from './route.ts';

/** @returns what is said where no policy of that name is known here, of this machine or of an incident of another. */
export function noSuchPolicy(agent: Agent, name: string | undefined): Failure<404> | undefined {
  const own = agent.policies().map(({ policy }) => policy.name);
  const known = [...new Set([...own, ...agent.incidents().map(({ policy }) => policy)])];
  if (name === undefined || known.includes(name)) return undefined;
  const meant = closest(name, known);
  const text = `no policy is called ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
  return failed(404, continued(text, 'see: kalos policy list'));
}

/** Why a policy that is no live one cannot be deleted, and what can be done instead. */
export function notLive(agent: Agent, name: string): Failure<404 | 409> {
  const origin = agent.policies().find(({ policy }) => policy.name === name)?.origin;
  switch (origin) {
    case 'shipped':
      return failed(409, `${name} is shipped with KALOS and cannot be deleted: kalos policy disable ${name} switches it off`);
    case 'own':
      return failed(409, `${name} is of this machine’s configuration: take it away there, then kalos config reload`);
    case 'swarm':
      return failed(409, `${name} is the swarm’s: kalos policy disable ${name} switches it off here`);
    case 'live':
    case undefined:
      return noSuchPolicy(agent, name) ?? failed(404, `there is no live policy ${name}; see: kalos policy list`);
  }
}
