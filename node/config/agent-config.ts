// Converts the configuration to the settings of an agent, for real and for simulated agents.
import type { AgentConfig } from '../agent/agent-config.ts';
import { shippedPolicies } from '../detection/adapters/shipped-policies.ts';
import type { Declared } from '../telemetry/declared.ts';
import type { Config } from './config.ts';

export type AgentSettings = Omit<AgentConfig, 'name' | 'version' | 'swarmId' | 'token' | 'rootSigners'>;

export function agentSettings(config: Config): AgentSettings {
  const { mode, maintenance, service: services, join, policy_engine, ai_engine } = config;
  return {
    mode,
    domain: config.failure_domain,
    issuers: config.issuers,
    inspect: config.inspect,
    maintenance,
    services,
    join,
    policies: [
      ...shippedPolicies().map((policy) => ({ policy, origin: 'shipped' as const })),
      ...config.policy.map((policy) => ({ policy, origin: 'own' as const })),
    ],
    engine: {
      intervalMs: policy_engine.evaluation_interval,
      maxRules: policy_engine.max_rules,
      maxConcurrent: policy_engine.max_concurrent_executions,
      anomalyThreshold: ai_engine.anomaly_threshold,
    },
    questions: config.question,
    declared: declaredOf(config),
  };
}

/** @param where `HOST:PORT`, or a port of this machine. */
function placeOf(where: string | number | undefined): { host: string; port: number } | undefined {
  if (where === undefined) return undefined;
  const [port = '', host = '127.0.0.1'] = String(where).split(':').reverse();
  return { host, port: Number(port) };
}

function declaredOf({ sysctl, file, log, cleanup, certificate, resolver, service }: Config): Declared {
  const files = file.map(({ path, content, mode, reload }) => ({ path, content, mode, reload }));
  const logs = log.map(({ path, maxBytes, keep, reload, alert }) => ({ path, maxBytes, keep, reload, alert }));
  const portOf = (name: string | undefined) => service.find((one) => one.name === name)?.port;
  const certificates = certificate.map(({ path, renewDays, renew, reload, servedAt }) => ({
    path,
    renewDays,
    renew,
    reload,
    servedAt: placeOf(servedAt ?? portOf(reload)),
  }));
  return { sysctls: sysctl, files, logs, cleanups: cleanup, certificates, resolvers: resolver };
}
