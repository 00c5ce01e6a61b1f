// What a request names must be there: who misspells a name is told so, and what was probably meant.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Agent } from '../agent/agent.ts';
import { closest, unknownName } from '../errors.ts';
import { type Failure, failed } from './route.ts';

/** @returns what is said where no policy of that name is known here, of this machine or of an incident of another. */
export function noSuchPolicy(agent: Agent, name: string | undefined): Failure<404> | undefined {
  const own = agent.parts.policies.all().map(({ policy }) => policy.name);
  const known = [...new Set([...own, ...agent.parts.memory.incidents().map(({ policy }) => policy)])];
  if (name === undefined || known.includes(name)) return undefined;
  return failed(404, unknownName('policy', name, known, 'kalos policy list'));
}

const targetsOf = (agent: Agent): string[] => [
  ...new Set([...agent.parts.watcher.targets(), ...agent.parts.memory.incidents().map(({ target }) => target)]),
];

/** @returns what is said where nothing of that name is watched on this machine, and no incident that is known here was on it. */
export function noSuchTarget(agent: Agent, name: string | undefined): Failure<404> | undefined {
  const known = targetsOf(agent);
  if (name === undefined || known.includes(name)) return undefined;
  return failed(404, unknownName('service, mount, metric or other target', name, known, 'kalos status, kalos incidents'));
}

/** Other machines may watch what this one does not: only what is like a name that is known is a slip. */
export function mistypedTarget(agent: Agent, name: string | undefined): Failure<404> | undefined {
  return name !== undefined && closest(name, targetsOf(agent)) !== undefined ? noSuchTarget(agent, name) : undefined;
}

/** @returns what is said where the swarm has placed no service of that name, and this machine declares none. */
export function noSuchPlacement(agent: Agent, service: string): Failure<404> | undefined {
  const placed = agent.decisions.state.placements().map((one) => one.service);
  const known = [...new Set([...placed, ...agent.status().services.map(({ name }) => name)])];
  return known.includes(service)
    ? undefined
    : failed(404, unknownName('service for fail-over', service, known, 'kalos nova status'));
}

/** The member that a request names, or what is said where it names none, or more than one. */
export function memberNamed(agent: Agent, name: string): { peer: PeerId } | { unknown: Failure<404> } {
  const { roster } = agent.swarm.admission;
  const found = name === '' ? [] : roster.find(name);
  const [only] = found;
  if (only !== undefined && found.length === 1) return { peer: only.subject };
  if (found.length > 1) return { unknown: failed(404, `${name} may be ${found.map((one) => one.name).join(' or ')}: say which`) };
  const known = roster.members().map((one) => one.name);
  return { unknown: failed(404, unknownName('member', name, known, 'kalos members')) };
}

/** Why a policy that is no live one cannot be deleted, and what can be done instead. */
export function notLive(agent: Agent, name: string): Failure<404 | 409> {
  const origin = agent.parts.policies.all().find(({ policy }) => policy.name === name)?.origin;
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
