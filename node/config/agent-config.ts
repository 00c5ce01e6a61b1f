// From the configuration, as it is written, to what an agent is made of: the same in reality and in simulation.
import type { AgentConfig } from '../agent.ts';
import { SHIPPED_POLICIES } from '../detection/policy.ts';
import type { Declared } from '../telemetry/declared.ts';
import type { Config } from './config.ts';

export type AgentSettings = Omit<AgentConfig, 'name' | 'version' | 'swarmId' | 'token' | 'rootSigners'>;

export function agentSettings(config: Config): AgentSettings {
  const { mode, maintenance, service: services, join, policy_engine, ai_engine } = config;
  return {
    mode,
    domain: config.failure_domain,
    issuers: config.issuers,
    maintenance,
    services,
    join,
    policies: [
      ...SHIPPED_POLICIES.map((policy) => ({ policy, origin: 'shipped' as const })),
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

function declaredOf({ sysctl, file, log, cleanup, certificate, resolver }: Config): Declared {
  const files = file.map(({ path, content, mode, reload }) => ({ path, content, mode, reload }));
  const logs = log.map(({ path, maxBytes, keep, reload, alert }) => ({ path, maxBytes, keep, reload, alert }));
  const certificates = certificate.map(({ path, renewDays, renew, reload }) => ({ path, renewDays, renew, reload }));
  return { sysctls: sysctl, files, logs, cleanups: cleanup, certificates, resolvers: resolver };
}
