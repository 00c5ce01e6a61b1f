// Checks the names in a request. The failure for an unknown name shows the most similar known name.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Agent } from '../agent/agent.ts';
import { closest, unknownName } from '../errors.ts';
import { type Failure, failed } from './route.ts';

/** @returns the failure if no policy of this machine and no known incident has the name. */
export function noSuchPolicy(agent: Agent, name: string | undefined): Failure<404> | undefined {
  const own = agent.parts.policies.all().map(({ policy }) => policy.name);
  const known = [...new Set([...own, ...agent.parts.memory.incidents().map(({ policy }) => policy)])];
  if (name === undefined || known.includes(name)) return undefined;
  return failed(404, unknownName('policy', name, known, 'kalos policy list'));
}

const targetsOf = (agent: Agent): string[] => [
  ...new Set([...agent.parts.watcher.targets(), ...agent.parts.memory.incidents().map(({ target }) => target)]),
];

/** @returns the failure if this machine watches no such target and no known incident has it. */
export function noSuchTarget(agent: Agent, name: string | undefined): Failure<404> | undefined {
  const known = targetsOf(agent);
  if (name === undefined || known.includes(name)) return undefined;
  return failed(404, unknownName('service, mount, metric or other target', name, known, 'kalos status, kalos incidents'));
}

/** Other machines may watch other targets: only a name similar to a known one is treated as misspelled. */
export function mistypedTarget(agent: Agent, name: string | undefined): Failure<404> | undefined {
  return name !== undefined && closest(name, targetsOf(agent)) !== undefined ? noSuchTarget(agent, name) : undefined;
}

/** @returns the failure if the swarm placed no such service and this machine declares none. */
export function noSuchPlacement(agent: Agent, service: string): Failure<404> | undefined {
  const placed = agent.decisions.state.placements().map((one) => one.service);
  const known = [...new Set([...placed, ...agent.status().services.map(({ name }) => name)])];
  return known.includes(service)
    ? undefined
    : failed(404, unknownName('service for fail-over', service, known, 'kalos nova status'));
}

/** The member that a request names; or the failure if no member or several have the name. */
export function memberNamed(agent: Agent, name: string): { peer: PeerId } | { unknown: Failure<404> } {
  const { roster } = agent.swarm.admission;
  const found = name === '' ? [] : roster.find(name);
  const [only] = found;
  if (only !== undefined && found.length === 1) return { peer: only.subject };
  if (found.length > 1) return { unknown: failed(404, `${name} is ambiguous: ${found.map((one) => one.name).join(' or ')}`) };
  const known = roster.members().map((one) => one.name);
  return { unknown: failed(404, unknownName('member', name, known, 'kalos members')) };
}

/** Why a policy that is not live cannot be deleted, and what to do instead. */
export function notLive(agent: Agent, name: string): Failure<404 | 409> {
  const origin = agent.parts.policies.all().find(({ policy }) => policy.name === name)?.origin;
  switch (origin) {
    case 'shipped':
      return failed(409, `${name} is built in and cannot be deleted; turn it off with: kalos policy disable ${name}`);
    case 'own':
      return failed(409, `${name} is in this machine’s configuration: delete it there, then run kalos config reload`);
    case 'swarm':
      return failed(409, `${name} is from the swarm’s bundle; turn it off here with: kalos policy disable ${name}`);
    case 'live':
    case undefined:
      return noSuchPolicy(agent, name) ?? failed(404, `there is no live policy ${name}; see: kalos policy list`);
  }
}
