// `/metrics` in Prometheus' text form (version 0.0.4): every metric of the machine, and the state of the swarm that this agent knows.
import type { Agent } from '../agent/agent.ts';
import { METRICS } from '../telemetry/metrics.ts';

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** OpenTelemetry's names with underscores, and Prometheus' units. */
const UNITS: Record<string, string> = {
  '1': 'ratio',
  By: 'bytes',
  'By/s': 'bytes_per_second',
  '%': 'percent',
  s: 'seconds',
  Cel: 'celsius',
};
const nameOf = (name: string, unit: string): string => {
  const suffix = UNITS[unit];
  // promtool reserves `_count` for histograms.
  const base = name.replaceAll('.', '_').replace(/_count$/, '_number');
  return suffix === undefined || base.endsWith(suffix) ? base : `${base}_${suffix}`;
};
const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const quoted = (text: string): string => `"${escaped(text).replaceAll('"', '\\"')}"`;

function family(
  name: string,
  help: string,
  samples: readonly (readonly [labels: Record<string, string>, value: number])[],
): string[] {
  if (samples.length === 0) return [];
  const label = (labels: Record<string, string>): string => {
    const parts = Object.entries(labels).map(([key, value]) => `${key}=${quoted(value)}`);
    return parts.length === 0 ? '' : `{${parts.join(',')}}`;
  };
  return [
    `# HELP ${name} ${escaped(help)}`,
    `# TYPE ${name} gauge`,
    ...samples.map(([labels, value]) => `${name}${label(labels)} ${value}`),
  ];
}

export function prometheus(agent: Agent): string {
  const { metrics, name, version, swarmId, openIncidents, samples } = agent.status();
  const machine = METRICS.flatMap((metric) => {
    const value = metrics[metric.name];
    return value === undefined ? [] : family(nameOf(metric.name, metric.unit), metric.description, [[{}, value]]);
  });
  const states = Map.groupBy(agent.parts.membershipAdmin.members(false), ({ state }) => state);
  const services = agent.status().services.map(({ name: service, state }) => [{ service }, state === 'running' ? 1 : 0] as const);
  const conditions = Object.entries(agent.parts.watcher.conditions()).map(
    ([condition, status]) => [{ condition, status }, 1] as const,
  );
  return [
    ...family('kalos_info', 'The agent', [[{ node: name, version, swarm: swarmId }, 1]]),
    ...family(
      'kalos_members',
      'Members of the swarm, by their state as seen by this agent',
      [...states].map(([state, all]) => [{ state }, all.length]),
    ),
    ...family('kalos_open_incidents', 'Open incidents on this machine', [[{}, openIncidents.length]]),
    ...family('kalos_condition', 'Conditions of this machine: 1 for the current status', conditions),
    ...family('kalos_service_running', 'Supervised services: 1 if running', services),
    ...family('kalos_samples', 'Samples taken since the start', [[{}, samples]]),
    ...machine,
    '',
  ].join('\n');
}
