// What is declared beside services, as it is seen: whole views of each kind, and what cannot be seen is unknown, with the reason.
import { describe, expect, it } from 'vitest';
import type { ActuatorReading } from '../../node/ports/actuator.ts';
import { type NewLines, NO_SUCH_FILE } from '../../node/ports/sensors.ts';
import {
  DECLARED_KINDS,
  type Declared,
  type DeclaredLog,
  type DeclaredPorts,
  DeclaredReader,
  NOTHING_DECLARED,
} from '../../node/telemetry/declared.ts';
import { toHex, utf8 } from '../../swarm/dissemination/cbor.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 1_700_000_000_000;
const hash = (bytes: Uint8Array): Uint8Array => Uint8Array.from([bytes.length, bytes[0] ?? 0]);
const digest = (text: string): string => toHex(hash(utf8(text)));
const value = (given: unknown): ActuatorReading => ({ ok: true, value: given });
const failure = (code: 'not-found' | 'refused' | 'unknown', message: string): ActuatorReading => ({ ok: false, code, message });
const stat = (path: string, size: number, mode = 0o644, type = 'file', inode = 1): ActuatorReading =>
  value([path, type, size, mode, 0, 0, 0, 1, inode]);

function world(given: Partial<Declared>) {
  const its = {
    answers: new Map<string, ActuatorReading>(),
    lines: { ok: true, lines: 0, matching: [], skippedBytes: 0 } as NewLines,
    asked: [] as string[],
    alive: new Set<string>(),
    endMs: new Map<string, number>(),
    served: undefined as string | undefined,
    handshakes: [] as unknown[][],
    services: [] as { name: string; pid: number | undefined }[],
    nowMs: 0,
  };
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const ports = {
    actuator: {
      read: async ([what, of]: readonly [string, string]) => {
        its.asked.push(`${what} ${of}`);
        return its.answers.get(`${what} ${of}`) ?? failure('not-found', `no ${of}`);
      },
      services: () => its.services,
    },
    crypto: {
      hash,
      certificateEndMs: (bytes: Uint8Array) => its.endMs.get(text(bytes)),
      certificateNames: (bytes: Uint8Array) => text(bytes).split(',').slice(1),
    },
    sensors: {
      newLines: async () => its.lines,
      resolves: async (server: string, name: string, ms: number) => {
        its.asked.push(`${server} ${name} ${ms}`);
        return its.alive.has(server);
      },
      servedCertificate: async (...of: unknown[]) => {
        its.handshakes.push(of);
        return its.served === undefined ? undefined : utf8(its.served);
      },
    },
    clock: { monotonicMs: () => its.nowMs, wallMs: () => NOW_MS },
  } as unknown as DeclaredPorts;
  const reader = new DeclaredReader({ ...NOTHING_DECLARED, ...given }, ports);
  const fields = async () => (await reader.look()).views[0]?.fields;
  return { its, reader, fields };
}

describe('what is declared', () => {
  it('may be nothing', async () => {
    expect(world({}).reader.empty).toBe(true);
    expect(await world({}).reader.look()).toEqual({ views: [], unknown: [] });
    expect(world({ sysctls: [{ key: 'vm.x', value: '1' }] }).reader.empty).toBe(false);
    expect(DECLARED_KINDS).toEqual(['sysctl', 'file', 'log', 'cleanup', 'certificate', 'resolver']);
  });

  const log: DeclaredLog = { path: '/l', maxBytes: 1_000, keep: 2, alert: undefined, reload: undefined };
  const all: Declared = {
    sysctls: [{ key: 'vm.x', value: '1' }],
    files: [{ path: '/f', content: '', mode: undefined, reload: undefined }],
    logs: [log],
    cleanups: [{ directory: '/c', suffix: '.tmp', olderThanS: 60 }],
    certificates: [{ path: '/p', renewDays: 30, renew: undefined, reload: undefined, servedAt: undefined }],
    resolvers: [{ path: '/r', servers: ['192.0.2.1'], probe: 'a.example' }],
  };

  it('is unknown where it may not be looked at', async () => {
    const { its, reader } = world(all);
    for (const of of ['sysctl.read vm.x', 'file.stat /f', 'file.stat /l', 'file.list /c', 'file.read /p', 'file.read /r'])
      its.answers.set(of, failure('refused', `not ${of}`));
    expect(await reader.look()).toEqual({
      views: [],
      unknown: [
        { name: 'vm.x', reason: 'not sysctl.read vm.x' },
        { name: '/f', reason: 'not file.stat /f' },
        { name: '/l', reason: 'not file.stat /l' },
        { name: '/c', reason: 'not file.list /c' },
        { name: '/p', reason: 'not file.read /p' },
        { name: '/r', reason: 'not file.read /r' },
      ],
    });
  });

  it.each(Object.keys(all) as (keyof Declared)[])('is not judged where the actuator does not answer: %s', async (kind) => {
    const { its, reader } = world({ [kind]: all[kind] });
    for (const of of ['sysctl.read vm.x', 'file.stat /f', 'file.stat /l', 'file.list /c', 'file.read /p', 'file.read /r'])
      its.answers.set(of, failure('unknown', 'the actuator does not answer'));
    await expect(reader.look()).rejects.toThrow('the actuator does not answer');
  });
});

it('a kernel parameter is compared without the difference of blanks', async () => {
  const { its, reader } = world({ sysctls: [{ key: 'net.x', value: ' 1   2 ' }] });
  its.answers.set('sysctl.read net.x', value('1\t2\n'));
  expect((await reader.look()).views).toEqual([
    { kind: 'sysctl', name: 'net.x', fields: { key: 'net.x', wanted: '1 2', value: '1 2' } },
  ]);
});

describe('a declared file', () => {
  const file = { path: '/etc/a', content: 'wanted', mode: undefined, reload: undefined };

  it('has its content and its mode', async () => {
    const { its, reader } = world({ files: [{ ...file, mode: '600', reload: 'web' }] });
    its.answers.set('file.stat /etc/a', stat('/etc/a', 3, 0o44));
    its.answers.set('file.read /etc/a', value(utf8('old')));
    expect((await reader.look()).views).toEqual([
      {
        kind: 'file',
        name: '/etc/a',
        fields: {
          path: '/etc/a',
          exists: true,
          content: digest('old'),
          wanted: digest('wanted'),
          mode: '044',
          wanted_mode: '600',
          text: 'wanted',
          reload: 'web',
        },
      },
    ]);
  });

  it('keeps its mode where none is declared, and a new one is for all to read', async () => {
    const { its, fields } = world({ files: [file] });
    expect(await fields()).toMatchObject({ exists: false, content: '', mode: '644', wanted_mode: '644', reload: '' });
    expect(its.asked).toEqual(['file.stat /etc/a']);
    its.answers.set('file.stat /etc/a', stat('/etc/a', 3, 0o755));
    its.answers.set('file.read /etc/a', value(utf8('old')));
    expect(await fields()).toMatchObject({ exists: true, mode: '755', wanted_mode: '755' });
    const other = world({ files: [{ ...file, mode: '600' }] });
    expect(await other.fields()).toMatchObject({ exists: false, mode: '600', wanted_mode: '600' });
    other.its.answers.set('file.stat /etc/a', stat('/etc/a', 0, 0o755, 'directory'));
    expect(await other.fields()).toMatchObject({ exists: false });
  });

  it('is unknown where only its content may not be read', async () => {
    const { its, reader } = world({ files: [file] });
    its.answers.set('file.stat /etc/a', stat('/etc/a', 3));
    its.answers.set('file.read /etc/a', failure('refused', 'it is secret'));
    expect((await reader.look()).unknown).toEqual([{ name: '/etc/a', reason: 'it is secret' }]);
  });
});

describe('a declared log', () => {
  const log: DeclaredLog = { path: '/var/a.log', maxBytes: 1_000, keep: 2, alert: 'ERROR', reload: 'web' };
  const CALM = { growth_bytes_s: 0, floods: 0, flooding: false, writer: '', writer_pid: 0, writer_program: '' };

  it('has its size and its growth, and the lines that match of late', async () => {
    const { its, reader, fields } = world({ logs: [log] });
    its.answers.set('file.stat /var/a.log', stat('/var/a.log', 100));
    its.lines = { ok: true, lines: 5, matching: ['ERROR 1', 'ERROR 2'], skippedBytes: 0 };
    const base = { path: '/var/a.log', exists: true, size_bytes: 100, max_bytes: 1_000, keep: 2, reload: 'web' };
    const alerted = { lines: 5, matches: 2, last_match: 'ERROR 2' };
    expect((await reader.look()).views).toEqual([{ kind: 'log', name: '/var/a.log', fields: { ...base, ...CALM, ...alerted } }]);
    its.nowMs = 9_999;
    its.lines = { ok: true, lines: 0, matching: [], skippedBytes: 0 };
    expect(await fields()).toMatchObject({ lines: 0, matches: 2, last_match: 'ERROR 2', growth_bytes_s: 0 });
    its.nowMs = 10_000;
    its.answers.set('file.stat /var/a.log', stat('/var/a.log', 205));
    expect(await fields()).toMatchObject({ lines: 0, matches: 0, last_match: '', size_bytes: 205, growth_bytes_s: 0 });
  });

  it('without an alert has no lines, and may be missing', async () => {
    const { its, fields } = world({ logs: [{ ...log, alert: undefined, reload: undefined }] });
    its.lines = { ok: false, reason: 'never asked' };
    const none = { exists: false, size_bytes: 0, reload: '', lines: 0, matches: 0, last_match: '' };
    expect(await fields()).toEqual({ path: '/var/a.log', max_bytes: 1_000, keep: 2, ...CALM, ...none });
  });

  it('that the agent cannot read is unknown, where it is not just missing', async () => {
    const { its, reader } = world({ logs: [log] });
    its.lines = { ok: false, reason: 'it hangs' };
    expect((await reader.look()).unknown).toEqual([{ name: '/var/a.log', reason: 'it hangs' }]);
    expect(its.asked).toEqual([]);
    its.lines = { ok: false, reason: NO_SUCH_FILE };
    expect(await reader.look()).toMatchObject({ views: [{ fields: { exists: false, lines: 0 } }], unknown: [] });
    its.answers.set('file.stat /var/a.log', stat('/var/a.log', 1));
    expect((await reader.look()).unknown).toEqual([{ name: '/var/a.log', reason: NO_SUCH_FILE }]);
  });

  it('that is flooded has who writes the most since the last look', async () => {
    const { its, fields } = world({ logs: [{ ...log, alert: undefined }] });
    const writer = (pid: number, service: string, written: number) => [pid, 7, `p${pid}`, 0, service, written];
    const flood = async (seconds: number, writers: unknown[], rotated: unknown[] = []) => {
      its.nowMs = seconds * 1_000;
      its.answers.set('file.stat /var/a.log', stat('/var/a.log', seconds * 500));
      its.answers.set('file.writers /var/a.log', value(writers));
      its.answers.set('file.writers /var/a.log.1', value(rotated));
      return fields();
    };
    for (let s = 1; s < 8; s++) await flood(s, [writer(6, '', 0)]);
    const first = await flood(9, [writer(5, 'web', 900), writer(6, '', 100)]);
    expect(first).toMatchObject({ flooding: true, floods: 1, growth_bytes_s: 500 });
    expect(first).toMatchObject({ writer: 'web', writer_pid: 5, writer_program: 'p5' });
    its.services = [
      { name: 'idle', pid: undefined },
      { name: 'unit', pid: 6 },
    ];
    const second = await flood(10, [writer(5, 'web', 1_000)], [writer(6, '', 900)]);
    expect(second).toMatchObject({ writer: 'unit', writer_pid: 6, writer_program: 'p6' });
    expect(await flood(11, [])).toMatchObject({ flooding: true, writer: '', writer_pid: 0, writer_program: '' });
    // What was written before it was forgotten counts again.
    expect(await flood(12, [writer(5, 'web', 1_100), writer(6, '', 950)])).toMatchObject({ writer_pid: 5 });
  });
});

it('a directory that may be cleaned has how many files with the suffix, and their bytes', async () => {
  const { its, reader } = world({ cleanups: [{ directory: '/tmp/x', suffix: '.tmp', olderThanS: 60 }] });
  const entry = (path: string, size: number, type = 'file') => [path, type, size, 0o644, 0, 0, 0];
  its.answers.set(
    'file.list /tmp/x',
    value([entry('/tmp/x/a.tmp', 10), entry('/tmp/x/b.tmp', 5), entry('/tmp/x/c.log', 7), entry('/tmp/x/d.tmp', 9, 'directory')]),
  );
  expect((await reader.look()).views).toEqual([
    {
      kind: 'cleanup',
      name: '/tmp/x',
      fields: { directory: '/tmp/x', suffix: '.tmp', older_than_s: 60, bytes: 15, files: 2 },
    },
  ]);
});

describe('a declared certificate', () => {
  const certificate = { path: '/c.pem', renewDays: 30, renew: 'renewal', reload: 'web', servedAt: { host: 'h', port: 443 } };
  const FILE = 'file,*.a.example,b.example';

  it('has the days that it has left', async () => {
    const { its, reader, fields } = world({ certificates: [{ ...certificate, servedAt: undefined }] });
    its.answers.set('file.read /c.pem', value(utf8(FILE)));
    its.endMs.set(FILE, NOW_MS + 45.5 * DAY_MS);
    const base = { path: '/c.pem', renew_days: 30, renew: 'renewal', reload: 'web', server: 'web' };
    expect((await reader.look()).views).toEqual([
      { kind: 'certificate', name: '/c.pem', fields: { ...base, exists: true, readable: true, days_left: 45.5 } },
    ]);
    expect(its.handshakes).toEqual([]);
    its.endMs.clear();
    expect(await fields()).toEqual({ ...base, exists: true, readable: false });
    its.answers.clear();
    expect(await fields()).toEqual({ ...base, exists: false, readable: false });
  });

  it('that a person renews reloads nothing by itself', async () => {
    const { fields } = world({ certificates: [{ ...certificate, renew: undefined }] });
    expect(await fields()).toMatchObject({ renew: '', reload: '', server: 'web' });
    const bare = world({ certificates: [{ ...certificate, reload: undefined }] });
    expect(await bare.fields()).toMatchObject({ renew: 'renewal', reload: '', server: '' });
  });

  describe('as its server hands it out', () => {
    function serving() {
      const made = world({ certificates: [certificate] });
      const { its } = made;
      its.answers.set('file.read /c.pem', value(utf8(FILE)));
      its.endMs.set(FILE, NOW_MS + 60 * DAY_MS);
      its.served = FILE;
      return made;
    }

    it('is asked for by its first name, and again after 31 looks while it is good', async () => {
      const { its, fields } = serving();
      expect(await fields()).toMatchObject({ days_left: 60, served_days_left: 60 });
      expect(its.handshakes).toEqual([['h', 443, 'www.a.example', 1_000]]);
      for (let look = 1; look <= 30; look++) expect(await fields()).toMatchObject({ served_days_left: 60 });
      expect(its.handshakes).toHaveLength(1);
      await fields();
      expect(its.handshakes).toHaveLength(2);
    });

    it('is asked for at every look while it is to be renewed, and once the file is another', async () => {
      const { its, fields } = serving();
      its.served = 'old,b.example';
      its.endMs.set('old,b.example', NOW_MS + 30 * DAY_MS - 1);
      for (let look = 1; look <= 3; look++) await fields();
      expect(its.handshakes).toHaveLength(3);
      its.endMs.set('old,b.example', NOW_MS + 30 * DAY_MS);
      for (let look = 4; look <= 6; look++) await fields();
      expect(its.handshakes).toHaveLength(4);
      its.answers.set('file.read /c.pem', value(utf8(`${FILE},c.example`)));
      its.endMs.set(`${FILE},c.example`, NOW_MS + 60 * DAY_MS);
      await fields();
      expect(its.handshakes).toHaveLength(5);
    });

    it.each([['other,c.example'], ['']])('is unknown where it has none of its names: %s', async (served) => {
      const { its, fields } = serving();
      its.served = served === '' ? undefined : served;
      its.endMs.set(served, NOW_MS);
      expect(await fields()).not.toHaveProperty('served_days_left');
    });

    it('is not asked for where the file is none', async () => {
      const { its, fields } = serving();
      its.endMs.clear();
      await fields();
      expect(its.handshakes).toEqual([]);
    });
  });
});

describe('declared name servers', () => {
  const resolver = { path: '/etc/resolv.conf', servers: ['192.0.2.1', '192.0.2.2'], probe: 'a.example' };

  it('are not asked while one of those in use answers', async () => {
    const { its, reader } = world({ resolvers: [resolver] });
    its.answers.set(
      'file.read /etc/resolv.conf',
      value(utf8('search x\n\nnameserver 10.0.0.1 # c\n nameserver 10.0.0.3\nnameserver\t10.0.0.2\n')),
    );
    its.alive.add('10.0.0.2');
    expect((await reader.look()).views).toEqual([
      {
        kind: 'resolver',
        name: '/etc/resolv.conf',
        fields: {
          path: '/etc/resolv.conf',
          servers: '10.0.0.1 10.0.0.2',
          declared: '192.0.2.1 192.0.2.2',
          answers: true,
          declared_answers: false,
          text: 'search x\n nameserver 10.0.0.3\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n',
        },
      },
    ]);
    expect(its.asked.slice(1)).toEqual(['10.0.0.1 a.example 1000', '10.0.0.2 a.example 1000']);
  });

  it('are asked where none in use does, or there is no file', async () => {
    const { its, fields } = world({ resolvers: [resolver] });
    expect(await fields()).toMatchObject({ servers: '', answers: false, declared_answers: false });
    its.alive.add('192.0.2.2');
    expect(await fields()).toMatchObject({
      answers: false,
      declared_answers: true,
      text: 'nameserver 192.0.2.1\nnameserver 192.0.2.2\n',
    });
  });
});
