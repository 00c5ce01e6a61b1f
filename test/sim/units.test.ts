// Declared systemd units that do not run, through the whole agent: each is reported in time, and none is started against whoever stopped it.
import { describe, expect, it } from 'vitest';
import { ESCALATE_AFTER_MS } from '../../node/agent/incident-loop.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';

const SETTLED_MS = 20_000;
/** For so long a unit may take to start or stop. */
const UNSETTLED_MS = 60_000;
const SLACK_MS = 10_000;
const STATES = ['inactive', 'masked', 'not-found', 'auto-restart', 'activating', 'deactivating', 'unknown'];

describe('a declared unit that does not run', () => {
  it('is reported whatever systemd calls its state, left as it is, and cleared once it runs', async () => {
    const service = [
      ...STATES.map((name) => ({ name, unit: `${name}.service` })),
      { name: 'well', unit: 'well.service' },
      { name: 'task', unit: 'task.service', task: true },
    ];
    const settings = agentSettings(resolveConfig([{ origin: 'test', document: { mode: 'act', service } }]));
    const cluster = Cluster.of({ nodes: 1, seed: 7, settings });
    const { linux } = cluster.node(0);
    for (const { name } of service) if (name !== 'task') linux.services.unitIs(name, 'active');
    const acts: string[] = [];
    linux.onAct = (text) => acts.push(text);
    cluster.start();
    await cluster.runUntil(SETTLED_MS);
    const open = () => (cluster.node(0).agent?.parts.memory.incidents() ?? []).filter(({ closedMs }) => closedMs === 0);
    expect(open()).toEqual([]);
    for (const state of STATES) linux.services.unitIs(state, state);
    await cluster.runUntil(cluster.scheduler.nowMs + UNSETTLED_MS + ESCALATE_AFTER_MS + SLACK_MS);
    expect(
      open()
        .map(({ target, policy, severity, state }) => [target, policy, severity, state])
        .sort(),
    ).toEqual(
      STATES.map((state) => [
        state,
        ['activating', 'deactivating', 'unknown'].includes(state) ? 'unit-unsettled' : 'unit-stopped',
        'warning',
        'escalated',
      ]).sort(),
    );
    expect(open()[0]?.summary).toContain('start it with service.start');
    expect(acts).toEqual([]);
    for (const state of STATES) linux.services.unitIs(state, 'active');
    await cluster.runUntil(cluster.scheduler.nowMs + 10_000);
    expect(open()).toEqual([]);
  });
});
