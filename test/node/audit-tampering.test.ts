// Root on a machine has its agent's key and its disk: it cuts the audit back, rewrites a record, or goes on from an older state, and signs
// it all again. Real agents; found by peers within two minutes, and proven to anybody.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LevelStore } from '../../node/adapters/level-store.ts';
import { AuditLog, type AuditRecord } from '../../node/audit/audit-log.ts';
import type { AuditStanding } from '../../node/cli/audit.ts';
import { Ed25519Crypto, loadIdentity } from '../../swarm/libp2p/identity.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { ask } from '../support/ask.ts';
import { eventually } from '../support/clock.ts';

const FOUND_WITHIN_MS = 120_000;
const SIGNED_WITHIN_MS = 90_000;
const swarm = new RealSwarm();
const standing = ({ directory }: RealAgent) => ask<AuditStanding>(directory, '/v1/audit/standing');

/** What root makes of the records: all of them again, under heads that the agent's own key signs. */
async function tamper({ directory }: RealAgent, change: (records: AuditRecord[]) => AuditRecord[]): Promise<void> {
  const store = await LevelStore.open(join(directory, 'memory'));
  const crypto = new Ed25519Crypto(await loadIdentity(join(directory, 'agent.key')));
  let nowMs = 0;
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs, after: () => ({ cancel: () => undefined }) };
  const before = new AuditLog(store, clock, crypto);
  await before.open();
  const records = change(await before.tail(1_000));
  const old = await store.range('audit/', { limit: 10_000 });
  const ofLog = old.filter(([key]) => /^audit\/(record|node|head)/.test(key));
  await store.write(ofLog.map(([key]) => ({ kind: 'delete', key })));
  const after = new AuditLog(store, clock, crypto);
  await after.open();
  for (const { kind, subject, text, atMs } of records) {
    nowMs = atMs;
    await after.append(kind, subject, text);
  }
  expect(await after.verify()).toMatchObject({ ok: true, records: records.length });
  await store.close();
}

beforeAll(async () => {
  await swarm.startAll(['anna', 'bert', 'cleo', 'dora'], () => '');
});
afterAll(() => swarm.stop());

describe('an audit that root has changed', () => {
  it('is found by peers within two minutes, and the proof of it holds anywhere', async () => {
    const [anna, ...victims] = swarm.agents;
    if (anna === undefined) expect.fail('nobody is there');
    // A few records that somebody would rather not have made.
    for (const { directory } of victims)
      for (const command of ['stop-all', 'resume', 'stop-all', 'resume'])
        expect((await kalos(command, '--dir', directory)).code).toBe(0);
    await eventually(
      'each log to be signed by a witness, to its end',
      async () => {
        const all = await Promise.all(
          victims.map(async (agent) => {
            const [records, { signed }] = await Promise.all([
              ask<unknown[]>(agent.directory, '/v1/audit/records/last/1000'),
              standing(agent),
            ]);
            return signed.some(({ size }) => size >= records.length);
          }),
        );
        return all.every(Boolean) || undefined;
      },
      SIGNED_WITHIN_MS,
    );
    expect((await swarm.json<AuditStanding>(anna, 'audit', 'conflicts')).conflicts).toEqual([]);
    const changes: ((records: AuditRecord[]) => AuditRecord[])[] = [
      (records) => records.slice(0, 2),
      (records) => records.map((one, nth) => (nth === 2 ? { ...one, text: 'nothing happened' } : one)),
      (records) => records.map((one, nth) => (nth >= records.length - 2 ? { ...one, text: 'another story' } : one)),
    ];
    for (const [nth, agent] of victims.entries()) {
      const ended = new Promise((resolve) => agent.process.once('exit', resolve));
      agent.process.kill('SIGTERM');
      await ended;
      await tamper(agent, changes[nth] ?? expect.fail());
      await swarm.start(agent.name, '', agent);
    }
    const startedMs = performance.now();
    for (const { name } of victims) {
      await eventually(
        `anna to know of ${name}`,
        async () => (await standing(anna)).conflicts.some(({ node }) => node === name) || undefined,
        FOUND_WITHIN_MS - (performance.now() - startedMs),
      );
      console.log(
        `the audit of ${name} was found changed within ${Math.round((performance.now() - startedMs) / 1_000)} s of its start`,
      );
      const { stdout } = await kalos('audit', 'conflicts', '--prove', name, '--dir', anna.directory);
      const file = join(tmpdir(), `kalos-proof-${process.pid}-${name}.json`);
      writeFileSync(file, stdout);
      // With no agent, and no directory.
      const verified = await kalos('audit', 'verify', '--proof', file);
      expect([verified.code, verified.stdout]).toEqual([
        0,
        expect.stringMatching(/^PROVEN {2}the log was (cut back|rewritten): /),
      ]);
      writeFileSync(
        file,
        stdout.replace(/"size": (\d+)/, (_, size: string) => `"size": ${Number(size) + 1}`),
      );
      expect((await kalos('audit', 'verify', '--proof', file)).code).not.toBe(0);
    }
  });
});
