// The agent's heartbeat to its actuator: when it is sent, what it says, and when missing answers show that the actuator hangs.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Heartbeat } from '../../node/action/adapters/heartbeat.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  vi.stubEnv('WATCHDOG_USEC', undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

function beating() {
  const flags: number[] = [];
  const its = { answers: true };
  const heartbeat = new Heartbeat(async (of) => {
    flags.push(of);
    return { ok: its.answers };
  });
  return { heartbeat, flags, its };
}

it('is sent at once and every two seconds, until it is stopped', async () => {
  const { heartbeat, flags } = beating();
  expect(flags).toEqual([0]);
  await vi.advanceTimersByTimeAsync(1_999);
  expect(flags).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(flags).toHaveLength(2);
  heartbeat.stop();
  expect(vi.getTimerCount()).toBe(0);
});

it.each([
  ['30000000', 1],
  ['0', 0],
])('says whether systemd starts the agent again: WATCHDOG_USEC=%s', (usec, flag) => {
  vi.stubEnv('WATCHDOG_USEC', usec);
  const { heartbeat, flags } = beating();
  heartbeat.stop();
  expect(flags).toEqual([flag]);
});

it('shows a silence of more than five seconds, since the first beat without an answer', async () => {
  const { heartbeat, its } = beating();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(heartbeat.silentMs()).toBe(0);
  its.answers = false;
  await vi.advanceTimersByTimeAsync(7_000); // from the beat after two seconds on
  expect(heartbeat.silentMs()).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(heartbeat.silentMs()).toBe(5_001);
  its.answers = true;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(heartbeat.silentMs()).toBe(0);
  heartbeat.stop();
});
