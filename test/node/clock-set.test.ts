// A real agent whose wall clock is set while it runs, by libfaketime (Debian's faketime): forth and back, by a second and by days, and
// over the end of daylight saving. Repairs, history, log alerts and questions go on.
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const HOUR_S = 3_600;
/** Of 2026 in Berlin: from 03:00 to 02:00. */
const DAYLIGHT_SAVING_ENDS_MS = Date.parse('2026-10-25T01:00:00Z');
const LIBRARY = ['/usr/lib', ...readdirSync('/usr/lib').map((name) => join('/usr/lib', name))]
  .map((directory) => join(directory, 'faketime', 'libfaketimeMT.so.1'))
  .find(existsSync);

const place = mkdtempSync(join(tmpdir(), 'kalos-clock-'));
const clock = join(place, 'clock');
const data = join(place, 'data');
const log = join(data, 'app.log');
const state = join(place, 'state');
/** Sets the agent's clock: so many seconds from the true time. */
const set = (offsetS: number): void => writeFileSync(clock, `${offsetS < 0 ? '' : '+'}${offsetS}`);

const swarm = new RealSwarm({
  ...(LIBRARY === undefined ? {} : { LD_PRELOAD: LIBRARY }),
  FAKETIME_TIMESTAMP_FILE: clock,
  FAKETIME_NO_CACHE: '1',
  DONT_FAKE_MONOTONIC: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  NO_FAKE_STAT: '1',
  TZ: 'Europe/Berlin',
});
/** Named after the process that loads libfaketime first: a shell that becomes the agent, so that nothing of it is left to remove them. */
const shared = (pid: number | undefined): string[] => [`/dev/shm/faketime_shm_${pid}`, `/dev/shm/sem.faketime_sem_${pid}`];
let agentPid: number | undefined;
afterAll(async () => {
  await swarm.stop();
  for (const path of shared(agentPid)) rmSync(path, { force: true });
  rmSync(place, { recursive: true, force: true });
});

const toEndS = Math.round((DAYLIGHT_SAVING_ENDS_MS - Date.now()) / 1_000) - 4;
const STEPS_S = [1, -1, 2 * HOUR_S, -2 * HOUR_S, toEndS, 25 * HOUR_S, -73 * HOUR_S];

/** A service for each step: one that ends often is left alone after a while. */
const SERVICES = STEPS_S.map((_, i) => `[[service]]\nname = "web-${i}"\ncommand = ["/bin/sleep", "100000"]\n`).join('');
const CONFIG = `mode = "act"
${SERVICES}
[[log]]
path = "${log}"
alert = "ERROR"
max_bytes = 1000000
`;

interface Shown {
  series: { fine: { atS: number; values: (number | null)[] } }[];
}

describe.skipIf(LIBRARY === undefined)('an agent whose wall clock is set (libfaketime)', () => {
  it('goes on repairing, recording, telling and answering, and nothing has a negative age', async () => {
    set(0);
    for (const directory of [data, state]) mkdirSync(directory, { mode: 0o700 });
    writeFileSync(join(state, 'actuator.policy'), `allow path ${data}\n`, { mode: 0o600 });
    writeFileSync(log, '');
    const agent = await swarm.start('clocked', CONFIG, undefined, state);
    agentPid = agent.process.pid;
    const running = async (name: string) =>
      (await swarm.rows(agent, `select pid, starts, age_ms from services where name = '${name}' and state = 'running'`))[0];
    const alerts = (condition: string) =>
      swarm.rows(agent, `select id from incidents where policy = 'log-alert' and ${condition}`);
    const past = async () => {
      const { series } = await swarm.json<Shown>(agent, 'metrics', '--history', 'system.load.1m');
      return series[0]?.fine ?? expect.fail('no history');
    };
    for (const [i, offsetS] of STEPS_S.entries()) {
      const before = await eventually('the service to run', () => running(`web-${i}`));
      set(offsetS);
      const wallMs = await eventually('its clock to be set', async () => {
        const [{ unix_time: seconds } = {}] = await swarm.rows(agent, 'select unix_time from time');
        return Math.abs(Number(seconds) - Date.now() / 1_000 - offsetS) < 3 ? Number(seconds) * 1_000 : undefined;
      });
      process.kill(Number(before.pid), 'SIGKILL');
      if (offsetS === 2 * HOUR_S) appendFileSync(log, 'ERROR\n');
      if (offsetS === 2 * HOUR_S) await eventually('the alert', async () => (await alerts('closed_ms is null'))[0]);
      const after = await eventually('the service to run again', async () => {
        const row = await running(`web-${i}`);
        return row !== undefined && Number(row.starts) > Number(before.starts) ? row : undefined;
      });
      expect(Number(after.age_ms)).toBeGreaterThanOrEqual(0);
      expect(Number(after.age_ms)).toBeLessThan(30_000);
      // From its next sample on, a second later at most.
      const isDated = async () => Math.abs((await past()).atS * 1_000 - wallMs) < 60_000 || undefined;
      await eventually('its past to be dated by the clock as it is set', isDated, 5_000);
    }
    await eventually('the alert to clear', async () => (await alerts('closed_ms is not null'))[0], 60_000);
    const durations = await swarm.rows(agent, 'select closed_ms - opened_ms as ms from incidents where closed_ms is not null');
    expect(durations.length).toBeGreaterThan(5);
    for (const { ms } of durations) expect(Number(ms)).toBeGreaterThanOrEqual(0);
    for (const { ms } of durations) expect(Number(ms)).toBeLessThan(120_000);
    const fine = await past();
    const gaps = fine.values.filter((value) => value === null).length;
    expect([fine.values.length > 20, gaps < fine.values.length / 4]).toEqual([true, true]);
    expect(agent.process.exitCode).toBeNull();
  });
});
