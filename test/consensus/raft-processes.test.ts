// Real processes over loopback, with real disks: what clients read and wrote while the leader was killed, frozen and killed again is
// linearizable.
import { afterAll, describe, expect, it } from 'vitest';
import {
  linearizability,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  registers,
} from '../../sim/check/linearizability.ts';
import { RaftProcesses } from '../support/raft/raft-processes.ts';

/** Many, and little on each: what nobody knows the outcome of makes a check costly. */
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];
const CLIENTS = 3;
const CLIENT_PATIENCE_MS = 1_500;
const PAUSE_MS = 50;
const LASTS_MS = 9_000;
/** A slow machine answers fewer in that time: then clients go on until there are so many. */
const ENOUGH = 150;

const group = new RaftProcesses();
afterAll(() => group.stop());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const nowMs = (): number => performance.now();
/** Of what this test draws: any will do. */
let drawn = 12_345;
const draw = (below: number): number => {
  drawn = (Math.imul(drawn, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((drawn / 2 ** 32) * below);
};

const answeredOf = (history: readonly Operation<RegisterInput, RegisterOutput>[]) =>
  history.filter(({ output }) => output !== undefined);

async function client(number: number, untilMs: number, history: Operation<RegisterInput, RegisterOutput>[]): Promise<void> {
  let known: string | null = null;
  for (let turn = 0; nowMs() < untilMs || answeredOf(history).length < ENOUGH; turn++) {
    const key = KEYS[draw(KEYS.length)] ?? 'a';
    const value = `${number}-${turn}`;
    const kind = draw(3);
    const write: RegisterInput = { kind: 'write', key, value };
    const cas: RegisterInput = known === null ? write : { kind: 'cas', key, from: known, to: value };
    const input: RegisterInput = kind === 0 ? { kind: 'read', key } : kind === 1 ? write : cas;
    const operation: Operation<RegisterInput, RegisterOutput> = {
      input,
      output: undefined,
      called: nowMs(),
      returned: Number.POSITIVE_INFINITY,
    };
    history.push(operation);
    const worked = await group.members[draw(group.members.length)]?.work(input, CLIENT_PATIENCE_MS);
    if (worked?.dropped === true) history.splice(history.indexOf(operation), 1);
    else if (worked?.output !== undefined) {
      Object.assign(operation, { output: worked.output, returned: nowMs() });
      if (input.kind === 'read') known = worked.output as string | null;
    }
    await pause(PAUSE_MS);
  }
}

const leader = () => {
  const { id } = group.elections.at(-1) ?? { id: 1 };
  return group.members[id - 1];
};

describe('three processes of a Raft group', () => {
  it('answer their clients linearizably, though leaders are killed and frozen', async () => {
    await group.start(3);
    const history: Operation<RegisterInput, RegisterOutput>[] = [];
    const untilMs = nowMs() + LASTS_MS;
    const clients = Array.from({ length: CLIENTS }, (_, number) => client(number, untilMs, history));
    await pause(1_500);
    const killed = leader();
    killed?.child.kill('SIGKILL');
    await pause(1_000);
    killed?.restart();
    await pause(1_000);
    const frozen = leader();
    frozen?.child.kill('SIGSTOP');
    await pause(2_000);
    frozen?.child.kill('SIGCONT');
    await pause(1_000);
    const again = leader();
    again?.child.kill('SIGKILL');
    await pause(800);
    again?.restart();
    await Promise.all(clients);
    await group.settled();
    const answered = answeredOf(history);
    expect(answered.some(({ input, output }) => input.kind === 'cas' && output === true)).toBe(true);
    expect(new Set(group.elections.map(({ term }) => term)).size).toBeGreaterThan(2);
    const { ok, ...rest } = linearizability(registers(null), history);
    expect(ok, JSON.stringify(rest).slice(0, 500)).toBe(true);
  });
});
