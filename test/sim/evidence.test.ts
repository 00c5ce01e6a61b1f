// Together no less is healed than alone: witnesses judge by the declared check, or abstain; what they refute and goes on is
// judged again, and in the end told.
import { describe, expect, it } from 'vitest';
import { decodeCertificate } from '../../consensus/vote/certificate.ts';
import { ESCALATE_AFTER_MS } from '../../node/agent/incident-loop.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { UnreportedChecker } from '../../sim/check/machines.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { Sickness } from '../../sim/machine/answers.ts';
import type { SimulatedNode } from '../../sim/node.ts';

const SETTLED_MS = 30_000;
const WEB = { name: 'web', command: ['web'], port: 8080, check: { kind: 'http', path: '/health' } };

async function settled(nodes: number, versions: string[] = [], service: object = WEB, more: object = {}): Promise<Cluster> {
  const document = { mode: 'act', service: [service], ...more };
  const cluster = Cluster.of({ nodes, seed: 5, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  for (const [nth, version] of versions.entries()) cluster.node(nth).profile.version = version;
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const incidentsOf = (node: SimulatedNode) => node.agent?.parts.memory.incidents() ?? [];
const storyOf = (node: SimulatedNode): string =>
  incidentsOf(node)
    .flatMap(({ steps }) => steps.map(({ text }) => text))
    .join('\n');
const pidOf = (node: SimulatedNode) => node.linux.services.all()[0]?.pid;
const sicken = (node: SimulatedNode, sickness: Sickness): void => node.linux.answers.sicken(pidOf(node), sickness);

/** Ms from the fault to the service being well again. */
async function healedAfter(cluster: Cluster, node: SimulatedNode, limitMs: number): Promise<number | undefined> {
  const fromMs = cluster.scheduler.nowMs;
  while (cluster.scheduler.nowMs - fromMs < limitMs) {
    await later(cluster, 100);
    if (node.linux.services.all()[0]?.state === 'running' && node.linux.answers.httpState(8080, true) === 'passed')
      return cluster.scheduler.nowMs - fromMs;
  }
  return undefined;
}

describe('a service that runs and does not serve', () => {
  it.each(['mute', 'failed'] as const)(
    '(%s) is mended in a swarm as fast as alone, its witnesses having run its check',
    async (sickness) => {
      const took: number[] = [];
      for (const nodes of [1, 3, 7]) {
        const cluster = await settled(nodes);
        const node = cluster.node(nodes - 1);
        sicken(node, sickness);
        if ((await healedAfter(cluster, node, 60_000)) === undefined) expect.fail(`${nodes} nodes: ${storyOf(node)}`);
        // From when it was noticed: when that is depends on when its agent was started.
        took.push(node.wallMs() - (incidentsOf(node)[0]?.openedMs ?? 0));
        if (nodes === 1) continue;
        const certificate = decodeCertificate(
          Uint8Array.from(atob(incidentsOf(node)[0]?.certificate ?? ''), (c) => c.charCodeAt(0)),
        );
        expect(certificate?.claim.check).toEqual({ kind: 'http', path: '/health' });
        expect(new Set(certificate?.votes.map(({ reason }) => reason))).toEqual(
          new Set([sickness === 'mute' ? 'check-silent' : 'check-failed']),
        );
      }
      const [alone = 0, ...together] = took;
      for (const ms of together) expect(ms - alone).toBeLessThanOrEqual(1_000);
    },
  );

  it('is mended where a witness runs a release that cannot run its check', async () => {
    const cluster = await settled(3, ['0.3.0']);
    const node = cluster.node(2);
    sicken(node, 'failed');
    expect(await healedAfter(cluster, node, 60_000), storyOf(node)).toBeDefined();
    expect(storyOf(node)).not.toContain('refuted');
  });

  it('is mended where its witnesses reach its port and have no check of their own to run', async () => {
    const cluster = await settled(3, [], { ...WEB, check: { kind: 'silence', within_s: 5 } });
    const node = cluster.node(2);
    node.linux.services.kill('web');
    expect(await healedAfter(cluster, node, 60_000), storyOf(node)).toBeDefined();
  });
});

describe('a service whose port a stranger holds', () => {
  it('is not refuted by an open port, is told while the stranger is there, and is up soon after it left', async () => {
    for (const nodes of [1, 3]) {
      const cluster = await settled(nodes);
      const node = cluster.node(nodes - 1);
      node.linux.answers.occupy(8080);
      node.linux.services.kill('web');
      await later(cluster, ESCALATE_AFTER_MS + 10_000);
      expect(storyOf(node)).toContain('escalated to a person: the repair did not help');
      expect(storyOf(node)).not.toContain('refuted');
      node.linux.answers.vacate(8080);
      expect(await healedAfter(cluster, node, 300_000), `${nodes} nodes: ${storyOf(node)}`).toBeDefined();
      await later(cluster, 10_000);
      expect(incidentsOf(node).at(-1)?.outcome).toBe('service.restart helped');
    }
  });
});

describe('what its witnesses refute by the very check', () => {
  it('is not acted on, is judged again, and is told where it goes on; and is mended once they see it too', async () => {
    const cluster = await settled(3);
    const node = cluster.node(2);
    sicken(node, 'failed-here');
    await later(cluster, 20_000);
    expect(storyOf(node)).toContain('refuted by 2 witnesses');
    expect(incidentsOf(node).at(-1)?.state).toBe('watching');
    await later(cluster, ESCALATE_AFTER_MS);
    expect(incidentsOf(node).at(-1)?.state).toBe('escalated');
    expect(storyOf(node)).toContain('escalated to a person: witnesses can reach the target');
    expect(node.linux.services.all()[0]?.starts).toBe(1);
    sicken(node, 'failed');
    expect(await healedAfter(cluster, node, 310_000), storyOf(node)).toBeDefined();
  });

  it('and clears by itself is over', async () => {
    const cluster = await settled(3);
    const node = cluster.node(2);
    sicken(node, 'failed-here');
    await later(cluster, 20_000);
    node.linux.answers.sicken(pidOf(node), 'well');
    await later(cluster, 10_000);
    expect(incidentsOf(node).map(({ state, outcome }) => [state, outcome])).toEqual([['resolved', 'cleared without a repair']]);
  });
});

describe('what nobody knows a remedy for', () => {
  it('is told once it has gone on for a while, and witnesses are asked about it once', async () => {
    const policy = {
      name: 'idle',
      when: `metrics['system.memory.utilization'] >= 0.0`,
      summary: 'it goes on',
      severity: 'warning',
    };
    const cluster = await settled(3, [], WEB, { policy: [policy] });
    const node = cluster.node(2);
    await later(cluster, ESCALATE_AFTER_MS + 400_000);
    const [incident] = incidentsOf(node).filter((one) => one.policy === 'idle');
    expect([incident?.state, incident?.steps.filter(({ stage }) => stage === 'vote').length]).toEqual(['escalated', 1]);
    expect(storyOf(node)).toContain('escalated to a person: ');
  });
});

describe('the checker of what is untold', () => {
  it('finds an incident that is open for two minutes with nobody told, once; and none that a person was told of', async () => {
    const cluster = await settled(3);
    const node = cluster.node(2);
    sicken(node, 'failed-here');
    await later(cluster, 20_000);
    const [incident] = incidentsOf(node);
    if (incident === undefined) throw new Error('nothing was noticed');
    const checker = new UnreportedChecker();
    const watch = async (state: typeof incident.state, seconds: number): Promise<number> => {
      for (let second = 0; second < seconds; second++) {
        await later(cluster, 1_003); // no whole seconds: it goes by what has passed
        incident.state = state;
        checker.each(cluster);
      }
      return cluster.violations.length;
    };
    expect([await watch('escalated', 150), await watch('watching', 110), await watch('watching', 60)]).toEqual([0, 0, 1]);
    expect(cluster.violations[0]).toContain(`${incident.id} (service-unresponsive) is open for two minutes`);
  });
});
