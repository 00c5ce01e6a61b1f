// The child process that works for the agent, played by the test: what it is given, in whose turn, for how long, and when it ends.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChildWorker } from '../../node/adapters/child-worker.ts';
import { ForkedCompute } from '../../node/adapters/forked-compute.ts';
import { OWNER } from '../../node/ports/compute.ts';

type Sent = Record<string, unknown> & { id: number };
class Child extends EventEmitter {
  readonly given: unknown[];
  readonly sent: Sent[] = [];
  killed: string[] = [];
  constructor(given: unknown[]) {
    super();
    this.given = given;
  }
  send(message: Sent): void {
    this.sent.push(message);
  }
  kill(signal: string): void {
    this.killed.push(signal);
  }
  answer(nth: number, answer: object): void {
    this.emit('message', { id: this.sent[nth]?.id, ...answer });
  }
}
const children = vi.hoisted((): unknown[] => []) as Child[];
vi.mock('node:child_process', async (original) => ({
  ...(await original<typeof import('node:child_process')>()),
  fork: (...given: unknown[]) => {
    const child = new Child(given);
    children.push(child);
    return child;
  },
}));

const planned = vi.hoisted((): unknown[] => []);
vi.mock('../../node/adapters/planner-thread.ts', () => ({
  PlannerThread: class {
    async plan(...given: unknown[]) {
      planned.push(given);
      return 'a plan';
    }
    close() {
      planned.push('closed');
    }
  },
}));

beforeEach(() => {
  children.length = 0;
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

const job = (sql: string) => ({ kind: 'sql-needs' as const, sql, schema: [] });
/** What became of it, once it has. */
function begun(worker: ChildWorker, sql: string, timeoutMs = 1_000, asker = 'a') {
  const one = { became: 'waits' };
  worker.run(job(sql), timeoutMs, asker).then(
    (value) => {
      one.became = `gives ${JSON.stringify(value)}`;
    },
    (error: Error) => {
      one.became = error.message;
    },
  );
  return one;
}
const child = (nth: number): Child => children[nth] ?? expect.fail(`no child ${nth}`);
const asked = (nth = 0): unknown[] => child(nth).sent.map(({ sql }) => sql);
const settled = () => vi.advanceTimersByTimeAsync(0);

describe('a job', () => {
  it('starts a child, is sent to it, and is what that answers', async () => {
    const worker = new ChildWorker('/entry.mjs', 1);
    expect(children).toEqual([]);
    const [one, other] = [begun(worker, 'one'), begun(worker, 'other')];
    expect(child(0).given).toEqual([
      '/entry.mjs',
      ['compute-host'],
      {
        execArgv: ['--max-old-space-size=192', '--disable-warning=ExperimentalWarning'],
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      },
    ]);
    expect(child(0).sent).toEqual([{ id: 1, kind: 'sql-needs', sql: 'one', schema: [] }]);
    child(0).emit('message', { id: 77, value: 'of nobody' });
    child(0).answer(0, { value: [1] });
    child(0).answer(1, { error: 'no such table' });
    await settled();
    expect([one.became, other.became, children.length]).toEqual(['gives [1]', 'no such table', 1]);
    worker.close();
    expect([child(0).killed, vi.getTimerCount()]).toEqual([['SIGKILL'], 0]);
  });

  it('has its own time, and three seconds more where its child has to start', async () => {
    const worker = new ChildWorker('/entry.mjs', 1);
    const [one, other] = [begun(worker, 'one', 1_000), begun(worker, 'other', 500)];
    await vi.advanceTimersByTimeAsync(3_999);
    expect([one.became, child(0).killed]).toEqual(['waits', []]);
    await vi.advanceTimersByTimeAsync(1);
    expect([one.became, child(0).killed, asked(1)]).toEqual(['took longer than 1000 ms and was stopped', ['SIGKILL'], ['other']]);
    child(1).answer(0, { value: 1 });
    const third = begun(worker, 'third', 200);
    await vi.advanceTimersByTimeAsync(199);
    expect([other.became, third.became]).toEqual(['gives 1', 'waits']);
    await vi.advanceTimersByTimeAsync(1);
    expect([third.became, children.length]).toEqual(['took longer than 200 ms and was stopped', 2]);
    worker.close();
  });

  it('has its turn after one of each other who asks, and 32 of one who asks wait', async () => {
    const worker = new ChildWorker('/entry.mjs', 1);
    const jobs = Array.from({ length: 33 }, (_, nth) => begun(worker, `a${nth}`));
    const [over, others] = [begun(worker, 'a33'), begun(worker, 'b0', 1_000, 'b')];
    await settled();
    expect([over.became, others.became]).toEqual(['was rejected: the queue is full, try again', 'waits']);
    for (let nth = 0; nth < 3; nth++) child(0).answer(nth, { value: nth });
    await settled();
    expect([asked(), jobs[2]?.became]).toEqual([['a0', 'a1', 'b0', 'a2'], 'waits']);
    worker.close();
  });

  it('of 64 others waits still, and of one more does not', async () => {
    const worker = new ChildWorker('/entry.mjs', 1);
    begun(worker, 'first');
    const all = Array.from({ length: 65 }, (_, nth) => begun(worker, '', 1_000, `asker ${nth}`));
    await settled();
    expect(all.map(({ became }) => became).filter((became) => became !== 'waits')).toEqual([
      'was rejected: the queue is full, try again',
    ]);
    worker.close();
    await settled();
    expect(all[0]?.became).toBe('was cancelled: the agent is stopping');
  });

  it('is one of as many as the child is given at a time', () => {
    const worker = new ChildWorker('/entry.mjs', 2);
    for (const name of ['a', 'b', 'c']) begun(worker, name);
    expect(asked()).toEqual(['a', 'b']);
    child(0).answer(1, { value: 0 });
    expect(asked()).toEqual(['a', 'b', 'c']);
    worker.close();
  });
});

describe('a child', () => {
  it('that ends takes the first job with it; the others begin again in another, in their order, once', async () => {
    const worker = new ChildWorker('/entry.mjs', 3);
    const jobs = ['a', 'b', 'c'].map((name) => begun(worker, name));
    child(0).emit('error', new Error('as told'));
    child(0).emit('exit');
    await settled();
    expect([jobs.map(({ became }) => became), asked(1)]).toEqual([
      ['ended the worker process', 'waits', 'waits'],
      ['b', 'c'],
    ]);
    child(0).emit('exit'); // the one from before: nobody's
    expect(children.length).toBe(2);
    child(1).emit('exit');
    await settled();
    expect(jobs.map(({ became }) => became).slice(1)).toEqual([
      'ended the worker process',
      'was interrupted twice by other queries: try again',
    ]);
    expect(vi.getTimerCount()).toBe(0);
    begun(worker, 'd');
    expect(asked(2)).toEqual(['d']);
    worker.close();
  });

  it('that is killed for one job does the others after it in another', async () => {
    const worker = new ChildWorker('/entry.mjs', 2);
    const [slow, other] = [begun(worker, 'slow', 100), begun(worker, 'other', 60_000)];
    await vi.advanceTimersByTimeAsync(3_100);
    expect([slow.became, other.became, asked(1)]).toEqual(['took longer than 100 ms and was stopped', 'waits', ['other']]);
    child(1).answer(0, { value: 'done' });
    await settled();
    expect(other.became).toBe('gives "done"');
    worker.close();
  });

  it('that is idle for fifteen seconds ends, and one that works does not', async () => {
    const worker = new ChildWorker('/entry.mjs', 1);
    begun(worker, 'a');
    child(0).answer(0, { value: 0 });
    await vi.advanceTimersByTimeAsync(14_999);
    begun(worker, 'b', 60_000);
    await vi.advanceTimersByTimeAsync(20_000);
    expect([child(0).killed, asked()]).toEqual([[], ['a', 'b']]);
    child(0).answer(1, { value: 0 });
    await vi.advanceTimersByTimeAsync(14_999);
    expect(child(0).killed).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([child(0).killed, vi.getTimerCount()]).toEqual([['SIGKILL'], 0]);
    begun(worker, 'c');
    expect(asked(1)).toEqual(['c']);
    worker.close();
  });

  it('is closed with all that it was to do', async () => {
    const worker = new ChildWorker('/entry.mjs', 1);
    const jobs = ['a', 'b'].map((name) => begun(worker, name));
    worker.close();
    await settled();
    expect(jobs.map(({ became }) => became)).toEqual(Array(2).fill('was cancelled: the agent is stopping'));
    expect([child(0).killed, vi.getTimerCount()]).toEqual([['SIGKILL'], 0]);
  });
});

describe('computing in child processes', () => {
  const table = { name: 't', columns: [{ name: 'c', type: 'TEXT' as const, description: 'x' }], rows: () => [] };
  const shape = [{ name: 't', columns: [{ name: 'c', type: 'TEXT' }] }];
  const compute = new ForkedCompute('/entry.mjs', '/model.onnx');
  afterEach(() => compute.close());

  it('asks the owner’s SQL of one and everybody else’s of another, with names and types alone', async () => {
    const needs = compute.sqlNeeds('select 1', [table], 500, OWNER);
    const run = compute.sqlRun('select 2', [table], [{ table: 't', columns: ['c'], rows: [['x']] }], 500, 'member 2');
    expect(children.map(({ sent }) => sent)).toEqual([
      [{ id: 1, kind: 'sql-needs', sql: 'select 1', schema: shape }],
      [{ id: 1, kind: 'sql-run', sql: 'select 2', schema: shape, data: [{ table: 't', columns: ['c'], rows: [['x']] }] }],
    ]);
    child(0).answer(0, { value: { ok: true, columns: [], tables: {} } });
    child(1).emit('exit');
    expect(await needs).toEqual({ ok: true, columns: [], tables: {} });
    expect(await run).toEqual({ ok: false, message: 'the query ended the worker process' });
  });

  it('reads the machine eight at a time, and says why not', async () => {
    const where = new Map([['path', ['/a']]]);
    const read = Array.from({ length: 9 }, (_, nth) => compute.inspect('file', where, 500, `m${nth}`));
    expect(child(0).sent.length).toBe(8);
    expect(child(0).sent[0]).toEqual({ id: 1, kind: 'inspect', table: 'file', where });
    child(0).answer(0, { value: [{ path: '/a' }] });
    child(0).answer(1, { error: 'this machine has no table file' });
    expect(await Promise.all(read.slice(0, 2))).toEqual([
      { ok: true, rows: [{ path: '/a' }] },
      { ok: false, message: 'this machine has no table file' },
    ]);
  });

  it('classifies within ten seconds, or abstains', async () => {
    const first = compute.classify([1, 2]);
    expect(child(0).sent).toEqual([{ id: 1, kind: 'classify', model: '/model.onnx', features: [1, 2] }]);
    child(0).answer(0, { value: { label: 'calm', confidence: 1 } });
    expect(await first).toEqual({ label: 'calm', confidence: 1 });
    const second = compute.classify([1, 2]);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(child(0).killed).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([await second, child(0).killed]).toEqual([undefined, ['SIGKILL']]);
  });

  it('gives each child one job of SQL or of models at a time, and ends all of them', async () => {
    for (let nth = 0; nth < 2; nth++) {
      void compute.sqlNeeds('select 1', [], 500, OWNER);
      void compute.sqlRun('select 2', [], [], 500, 'member 2');
      void compute.classify([1]);
      void compute.inspect('file', new Map(), 500, 'member 2');
    }
    expect(children.map(({ sent }) => sent.length)).toEqual([1, 1, 1, 2]);
    planned.length = 0;
    expect(await compute.plan({ view: 1 } as never, 70)).toBe('a plan');
    await compute.close();
    expect(children.map(({ killed }) => killed)).toEqual(Array(4).fill(['SIGKILL']));
    expect([planned, vi.getTimerCount()]).toEqual([[[{ view: 1 }, 70], 'closed'], 0]);
  });
});
