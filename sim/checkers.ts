// What must hold of every run. Safety is checked along the way, liveness after the calm at the end.
import type { Cluster } from './cluster.ts';

/** Checked each virtual second. */
export class SafetyChecker {
  readonly #coordinators = new Map<number, string>();

  check(cluster: Cluster): void {
    for (const { node, agent } of cluster.running()) {
      const { coordinator, term } = agent.status();
      if (coordinator !== node.name) continue;
      const other = this.#coordinators.get(term);
      if (other !== undefined && other !== node.name)
        cluster.violations.push(`two coordinators in term ${term}: ${other} and ${node.name}`);
      this.#coordinators.set(term, node.name);
    }
  }
}

/** Checked once, after all faults are over and time for repair has passed. */
export async function checkLiveness(cluster: Cluster): Promise<void> {
  const running = cluster.running();
  const names = running.map(({ node }) => node.name).sort();
  const coordinators = new Set(running.map(({ agent }) => agent.status().coordinator));
  if (coordinators.size !== 1 || coordinators.has(undefined))
    cluster.violations.push(`no single coordinator: ${[...coordinators].join(', ')}`);
  for (const { node, agent } of running) {
    const status = agent.status();
    const alive = status.members
      .filter(({ state }) => state === 'alive')
      .map(({ name }) => name)
      .sort();
    if (alive.join() !== names.join())
      cluster.violations.push(`${node.name} sees ${alive.join(' ')} alive, not ${names.join(' ')}`);
    for (const service of status.services) {
      if (service.state !== 'running') cluster.violations.push(`${node.name}: service ${service.name} is ${service.state}`);
    }
    for (const incident of agent.incidents()) {
      if (incident.closedMs === 0 && incident.state !== 'escalated')
        cluster.violations.push(`${node.name}: ${incident.id} is neither closed nor escalated`);
    }
    const audit = await agent.audit.verify();
    if (!audit.ok) cluster.violations.push(`${node.name}: audit record ${audit.index}: ${audit.reason}`);
  }
}
