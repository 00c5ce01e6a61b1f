// Checker of services for fail-over: never on two machines at the same time, each time under a higher fence than before, and at the end on
// one.
import type { Cluster } from '../cluster.ts';
import type { Checker } from './checker.ts';

export class PlacementChecker implements Checker {
  readonly name = 'placements';
  /** The machines that run each service. */
  readonly #running = new Map<string, Set<string>>();
  readonly #fences = new Map<string, number>();

  begin(cluster: Cluster): void {
    for (const node of cluster.nodes)
      node.linux.services.onFenced = (service, fence) => {
        const machines = this.#running.get(service) ?? new Set();
        this.#running.set(service, machines);
        if (fence === undefined) return void machines.delete(node.name);
        machines.add(node.name);
        if (machines.size > 1) cluster.violation(`${service} runs on ${[...machines].join(' and ')} at the same time`);
        const highest = this.#fences.get(service) ?? 0;
        if (fence < highest) cluster.violation(`${service} was started on ${node.name} under fence ${fence}, after ${highest}`);
        this.#fences.set(service, Math.max(fence, highest));
      };
  }

  end(cluster: Cluster): void {
    if (cluster.protocolsOnly) return;
    for (const { name } of cluster.settings.services.filter(({ failover }) => failover === true))
      if (this.#running.get(name)?.size !== 1) cluster.violation(`no machine runs ${name}`);
  }
}
