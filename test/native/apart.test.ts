// What the actuator does in processes of their own: reads and changes on files, many at once, in order where they have one place, each
// answered; and health checks, run as their service is.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const [OK, FAILED] = [0, 4];
const LONG_MS = 60_000;
const OWN = userInfo().username;
const test = new TestActuator(true);
const data = join(test.directory, 'data');
let agent: RawClient;
beforeAll(async () => {
  buildPlain();
  mkdirSync(data);
  await test.start({ policy: `allow path ${data}\n` });
  agent = await test.agent();
});
afterAll(() => test.stop());

const at = (name: string): string => join(data, name);
const children = (): string[] => {
  const pid = String(test.process?.pid);
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean);
};
const descriptors = (): number => readdirSync(`/proc/${test.process?.pid}/fd`).length;

describe('reads of files', () => {
  it('are at most 256 at once, each answered, and nothing is left of them', async () => {
    writeFileSync(at('f'), 'content');
    const raw = await test.raw();
    await raw.ask('services');
    const before = descriptors();
    const frames = Array.from({ length: 260 }, (_, nth) => {
      const body = encodeCbor([1, nth + 1_000, 'read', ['file.read', at('f')]]);
      return Buffer.from([0, 0, body.length >> 8, body.length & 255, ...body]);
    });
    raw.socket.write(Buffer.concat(frames));
    await soon('the answers', () => raw.frames.length === 261);
    const answers = raw.frames.slice(1);
    const late = answers.filter(([, , code]) => code !== OK).map(([, id, code, message]) => [id, code, message]);
    expect(late).toEqual([1_256, 1_257, 1_258, 1_259].map((id) => [id, FAILED, '256 operations wait already: try again later']));
    const read = answers.filter(([, , code]) => code === OK);
    expect(new Set(read.map(([, id]) => id)).size).toBe(256);
    for (const [, , , , items] of read) expect(decodeCbor(items as Uint8Array)).toEqual(new TextEncoder().encode('content'));
    await soon('their processes to be gone', () => children().length === 0);
    expect(descriptors()).toBe(before);
    expect((await raw.ask('read', ['file.read', at('f')])).code).toBe(OK);
  });
});

describe('changes of files', () => {
  it('are done in the order in which they were asked for', async () => {
    writeFileSync(at('g'), '');
    const ids = Array.from({ length: 20 }, (_, nth) => `g-${nth}`);
    for (const [nth, id] of ids.entries())
      await agent.ask('arm', id, LONG_MS, [[['file.replace', at('g'), new TextEncoder().encode(String(nth)), -1], []]]);
    const applied = await Promise.all(ids.map((id) => agent.ask('apply', id, 0)));
    expect(applied.map(({ code }) => code)).toEqual(ids.map(() => OK));
    expect(readFileSync(at('g'), 'utf8')).toBe('19');
    const confirmed = await Promise.all(ids.map((id) => agent.ask('confirm', id)));
    expect(confirmed.map(({ code }) => code)).toEqual(ids.map(() => OK));
    const archive = join(test.state, 'archive');
    expect(ids.slice(1).map((id) => readFileSync(join(archive, `${id}-0`), 'utf8'))).toEqual(
      ids.slice(1).map((_, nth) => String(nth)),
    );
    expect(readdirSync(data)).not.toContain('.kalos');
    rmSync(at('g'));
  });
});

describe('a health check', () => {
  const check = async (name: string, script: string) => {
    const { code, message } = await agent.ask('check', name, ['sh', '-c', script], 5_000);
    return [code, message];
  };

  it('runs in its service’s directory, with its environment, not its limits, in a session of its own', async () => {
    await agent.ask('declare', [['web', ['true'], '/usr', ['A=b'], OWN, [['nofile', 19]], 0, 0, 'TERM', 100, 1 << 20]]);
    const [code, said] = await check(
      'web',
      'pwd; echo "$A"; ulimit -n; ps -o sid= -p $$; echo $$; echo "$KALOS_FENCE"; cat; echo over',
    );
    const [directory, a, files, session, pid, ...rest] = String(said).split('\n');
    expect([code, directory, a, rest]).toEqual([OK, '/usr', 'b', ['', 'over', '']]);
    expect(Number(files)).toBeGreaterThan(19);
    expect(session?.trim()).toBe(pid);
  });

  it('knows the fence of its service', async () => {
    await agent.ask('declare', [['one', ['sleep', '600'], '', [], OWN, [], 0, 0, 'TERM', 100, 1 << 20, 1]]);
    const held = await agent.ask('hold', 'one', Number(process.hrtime.bigint() / 1_000_000n) + 9_000, Date.now() + 9_000, 41);
    expect(held.message).toBe('started');
    expect(await check('one', 'echo "$KALOS_FENCE"')).toEqual([OK, '41\n']);
    await agent.ask('release', 'one');
  });

  it('is ended with what it has started where it does not end in time', async () => {
    const { code } = await agent.ask('check', 'web', ['sh', '-c', `sleep 600 & echo $! > ${at('pid')}; wait`], 100);
    expect(code).toBe(2);
    const pid = Number(readFileSync(at('pid'), 'utf8'));
    expect(pid).toBeGreaterThan(1);
    await soon('it to end', () => {
      try {
        return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
      } catch {
        return true;
      }
    });
  });
});
