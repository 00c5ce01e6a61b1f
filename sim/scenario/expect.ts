// The expectations of a scenario, besides the checks of every run.
import type { Incident } from '../../node/detection/incident.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Cluster } from '../cluster.ts';
import type { SimulatedNode } from '../node.ts';
import type { Expectation, Scenario } from './schema.ts';

/** The expectations that were not met, in words. */
export function brokenPromises(cluster: Cluster, { expect }: Scenario): string[] {
  const named = new Set(expect.flatMap(({ node }) => (typeof node === 'number' ? [cluster.node(node).index] : [])));
  return expect.flatMap((expectation) => {
    const { node } = expectation;
    const nodes =
      typeof node === 'number' ? [cluster.node(node)] : cluster.nodes.filter(({ index }) => node === 'all' || !named.has(index));
    return nodes.flatMap((one) => broken(one, expectation).map((text) => `${one.name}: ${text}`));
  });
}

function broken(node: SimulatedNode, expectation: Expectation): string[] {
  if ('policy' in expectation) return brokenStory(node.agent?.parts.memory.incidents() ?? [], expectation);
  if ('sysctl' in expectation) {
    const read = node.linux.read(['sysctl.read', expectation.sysctl]);
    const value = read.ok ? read.value : read.message;
    return value === expectation.value ? [] : [`${expectation.sysctl} is ${String(value)}, not ${expectation.value}`];
  }
  if ('starts' in expectation) {
    const starts = node.linux.services.all().find(({ name }) => name === expectation.service)?.starts;
    return starts === expectation.starts ? [] : [`${expectation.service} was started ${starts} times, not ${expectation.starts}`];
  }
  const content = node.linux.files.content(expectation.path);
  if ('bytes' in expectation)
    return content?.length === expectation.bytes
      ? []
      : [`${expectation.path} has ${content?.length} bytes, not ${expectation.bytes}`];
  const text = new TextDecoder().decode(content ?? utf8('(none)'));
  return text === expectation.content ? [] : [`${expectation.path} is ${JSON.stringify(text.slice(0, 80))}`];
}

/** How an agent's incidents differ from an expectation. */
export function brokenStory(incidents: readonly Incident[], wanted: Extract<Expectation, { policy: string }>): string[] {
  const matching = incidents.filter(({ policy, target }) => policy === wanted.policy && (wanted.target ?? target) === target);
  const last = matching.at(-1);
  const what = `${wanted.policy}${wanted.target === undefined ? '' : ` of ${wanted.target}`}`;
  const wrong: string[] = [];
  if (wanted.count !== undefined && matching.length !== wanted.count)
    wrong.push(`${what}: ${matching.length} times, not ${wanted.count}`);
  if (wanted.outcome !== undefined && last?.outcome !== wanted.outcome)
    wrong.push(`${what}: ${last?.outcome ?? 'no incident'}, not "${wanted.outcome}"`);
  if (wanted.certified !== undefined && last !== undefined && (last.certificate !== '') !== wanted.certified)
    wrong.push(`${what}: ${wanted.certified ? 'not ' : ''}certified`);
  if (wanted.acted !== undefined && matching.some(({ tool }) => (tool !== '') !== wanted.acted))
    wrong.push(`${what}: ${wanted.acted ? 'no repair was tried' : 'a repair was tried'}`);
  return wrong;
}
