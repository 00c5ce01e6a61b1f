// A service is killed and healed; the coordinator crashes, is replaced and comes back; the swarm is cut in two while a
// service dies on the smaller side; then all is calm.
import type { Cluster } from '../cluster.ts';
import type { Scenario } from './scenario.ts';

const S = 1_000;

function crashCoordinator(cluster: Cluster): void {
  const name = cluster.running()[0]?.agent.status().coordinator;
  const node = cluster.nodes.find((other) => other.name === name);
  if (node === undefined) return cluster.log('scenario', 'nobody coordinates: none to crash');
  node.crash();
  cluster.scheduler.after(25 * S, () => cluster.boot(node.index));
}

function killService(cluster: Cluster, index: number, name: string): void {
  cluster.log(cluster.node(index).name, `something kills ${name}`);
  cluster.node(index).linux.kill(name);
}

export const crashAndPartition: Scenario = {
  name: 'crash-and-partition',
  description: 'a killed service, a crashed coordinator, and a partition with a fault on the smaller side',
  minNodes: 4,
  services: [{ name: 'web', command: ['web'], port: 8080 }],
  durationMs: 150 * S,
  schedule: (cluster) => {
    const { scheduler, nodes, network } = cluster;
    const small = Math.floor((nodes.length - 1) / 2);
    const last = nodes.length - 1;
    scheduler.at(15 * S, () => killService(cluster, 2, 'web'));
    scheduler.at(30 * S, () => crashCoordinator(cluster));
    scheduler.at(70 * S, () => {
      cluster.log('scenario', `partition: the last ${small} nodes are cut off`);
      network.partition([nodes.slice(0, -small).map(({ peer }) => peer), nodes.slice(-small).map(({ peer }) => peer)]);
    });
    scheduler.at(85 * S, () => killService(cluster, last, 'web'));
    scheduler.at(100 * S, () => {
      cluster.log('scenario', 'the partition heals');
      network.heal();
    });
    scheduler.at(115 * S, () => {
      cluster.log(cluster.node(1).name, 'something freezes web');
      cluster.node(1).linux.freeze('web');
    });
  },
  expect: (cluster) => {
    const broken: string[] = [];
    const story = (index: number, policy: string) =>
      cluster
        .node(index)
        .agent?.incidents()
        .find((incident) => incident.policy === policy);
    const first = story(2, 'service-exited');
    if (first?.outcome !== 'service.restart helped')
      broken.push(`the killed service on node-2: ${first?.outcome ?? 'never noticed'}`);
    if (first !== undefined && first.certificate === '')
      broken.push('the killed service on node-2 was not certified by its witnesses');
    const minority = story(cluster.nodes.length - 1, 'service-exited');
    if (minority?.outcome !== 'service.restart helped')
      broken.push(`the service on the smaller side: ${minority?.outcome ?? 'never noticed'}`);
    const frozen = story(1, 'service-frozen');
    if (frozen?.outcome !== 'service.signal helped')
      broken.push(`the frozen service on node-1: ${frozen?.outcome ?? 'never noticed'}`);
    return broken;
  },
};
