// Which arguments tools take, to the limit and one past it; what tools that only read give; and calls in words.
import { describe, expect, it } from 'vitest';
import type { ReadTool } from '../../node/action/tool.ts';
import { changeToolOf, describeCall, isAsIntended, parseCall } from '../../node/action/tools.ts';
import type { Argument, ToolCall } from '../../node/tool-call.ts';
import { HOUR_MS, machine, NOW_MS, processes } from '../support/tool-machine.ts';

describe('the arguments of a tool', () => {
  const takes = (tool: string, given: Record<string, unknown>): boolean => {
    try {
      return parseCall({ tool, ...given }) !== undefined;
    } catch {
      return false;
    }
  };

  it.each<[string, Record<string, unknown>, boolean]>([
    ['process.renice', { pid: 2, nice: -20 }, true],
    ['process.renice', { pid: 4_194_304, nice: 19 }, true],
    ['process.renice', { pid: 1, nice: 0 }, false],
    ['process.renice', { pid: 4_194_305, nice: 0 }, false],
    ['process.renice', { pid: 2, nice: -21 }, false],
    ['process.renice', { pid: 2, nice: 20 }, false],
    ['process.renice', { pid: 2, nice: '' }, false],
    ['process.renice', { pid: 2, nice: 1.5 }, false],
    ['process.ioprio', { pid: 2, class: 'idle', level: 7 }, true],
    ['process.ioprio', { pid: 2, class: 'idle', level: 8 }, false],
    ['process.ioprio', { pid: 2, class: 'idle', level: -1 }, false],
    ['process.limit', { pid: 2, resource: 'core', soft: -2 }, false],
    ['process.spawn', { command: ['x'.repeat(1_024)] }, true],
    ['process.spawn', { command: ['x'.repeat(1_025)] }, false],
    ['process.spawn', { command: ['/x'], timeout_s: 1 }, true],
    ['process.list', { top: 1 }, true],
    ['process.ioprio', { pid: 2, class: 'idle', level: 0 }, true],
    ['fs.rotate', { path: '/x', keep: 1 }, true],
    ['process.spawn', { command: Array(64).fill('/x') }, true],
    ['process.spawn', { command: Array(65).fill('/x') }, false],
    ['process.spawn', { command: [] }, false],
    ['process.spawn', { command: ['/x'], timeout_s: 60 }, true],
    ['process.spawn', { command: ['/x'], timeout_s: 61 }, false],
    ['process.spawn', { command: ['/x'], timeout_s: 0 }, false],
    ['process.list', { top: 1_000 }, true],
    ['process.list', { top: 1_001 }, false],
    ['process.list', { top: 0 }, false],
    ['sysctl.set', { key: 'vm.x', value: 'x'.repeat(256) }, true],
    ['sysctl.set', { key: 'vm.x', value: 'x'.repeat(257) }, false],
    ['sysctl.set', { key: 'vm.x', value: 'a\nb' }, false],
    ['sysctl.set', { key: 'net.ipv4.conf.eth0/100.rp_filter', value: '1' }, true],
    ['sysctl.set', { key: 'vm..x', value: '1' }, false],
    ['sysctl.set', { key: '../vm', value: '1' }, false],
    ['cgroup.limit', { service: 'web', cpus: 1_024 }, true],
    ['cgroup.limit', { service: 'web', cpus: 1_025 }, false],
    ['cgroup.limit', { service: 'web', cpus: '0.5' }, true],
    ['cgroup.limit', { service: 'web', memory_bytes: 1_048_576 }, true],
    ['cgroup.limit', { service: 'web', memory_bytes: 1_048_575 }, false],
    ['cgroup.limit', { service: 'web', memory_bytes: 0 }, true],
    ['cgroup.limit', { service: 'web' }, false],
    ['cgroup.limit', { service: 'web', cpus: 1, memory_bytes: 0 }, false],
    ['io.scheduler', { device: 'x'.repeat(31), value: 'none' }, true],
    ['io.scheduler', { device: 'x'.repeat(32), value: 'none' }, false],
    ['io.scheduler', { device: 'sda', value: 'NONE' }, false],
    ['io.readahead', { device: 'sda', value: 65_536 }, true],
    ['io.readahead', { device: 'sda', value: 65_537 }, false],
    ['io.readahead', { device: 'sda', value: '-1' }, false],
    ['fs.write', { path: '/x', content: 'x'.repeat(262_144) }, true],
    ['fs.write', { path: '/x', content: 'x'.repeat(262_145) }, false],
    ['fs.write', { path: '/x', content: '', mode: '0644' }, true],
    ['fs.write', { path: '/x', content: '', mode: '4755' }, false],
    ['fs.write', { path: '/x', content: '', mode: '648' }, false],
    ['fs.remove', { path: '/x/../y' }, false],
    ['fs.remove', { path: '/x/./y' }, false],
    ['fs.remove', { path: '/x*' }, false],
    ['fs.remove', { path: 'x' }, false],
    ['fs.remove', { path: '/x/' }, false],
    ['fs.remove', { path: `/${'x'.repeat(1_023)}` }, true],
    ['fs.remove', { path: `/${'x'.repeat(1_024)}` }, false],
    ['fs.rotate', { path: '/x', keep: 32 }, true],
    ['fs.rotate', { path: '/x', keep: 33 }, false],
    ['fs.rotate', { path: '/x', keep: 0 }, false],
    ['fs.clean', { directory: '/x', suffix: '.t', older_than_s: 315_360_000 }, true],
    ['fs.clean', { directory: '/x', suffix: '.t', older_than_s: 315_360_001 }, false],
    ['fs.clean', { directory: '/x', suffix: '.', older_than_s: 0 }, false],
    ['fs.clean', { directory: '/x', suffix: 'tmp', older_than_s: 0 }, false],
    ['fs.clean', { directory: '/x', suffix: `.${'x'.repeat(64)}`, older_than_s: 0 }, false],
    ['net.block', { address: '10.0.0.0/8' }, true],
    ['net.block', { address: 'example.org' }, false],
    ['service.start', { service: 'x'.repeat(64) }, true],
    ['service.start', { service: 'x'.repeat(65) }, false],
    ['service.start', { service: '-x' }, false],
  ])('%s, row %#', (tool, given, expected) => {
    expect(takes(tool, given)).toBe(expected);
  });

  it('that are not given are as they are said to be', () => {
    const given = (tool: string, more: object): ToolCall => parseCall({ tool, ...more }).call;
    expect(given('process.ioprio', { pid: 2, class: 'best-effort' }).level).toBe(4);
    expect(given('process.spawn', { command: ['/x'] }).timeout_s).toBe(30);
    expect(given('process.list', {}).top).toBe(20);
    expect(given('fs.rotate', { path: '/x' }).keep).toBe(5);
    expect(given('cgroup.freeze', { service: 'web' }).state).toBe('freeze');
  });

  it('are said to be wrong as a command line gives them', () => {
    expect(() => parseCall({ tool: 'service.strat' })).toThrow(/no tool .*service.strat.*service.start/);
    expect(() => parseCall({ tool: 'process.renice', pid: 1, nice: 3 })).toThrow(
      /process.renice: pid=1 .*; see: kalos tools process.renice/,
    );
    expect(() => parseCall({ tool: 'process.renice', pid: 5 })).toThrow(/process.renice: the argument nice=… /);
    expect(() => parseCall({ tool: 'net.block', address: '10.0.0.1', port: 3 })).toThrow(
      /port.* is not an argument of this tool/,
    );
  });
});

describe('the limits of a tool, as people are shown them', () => {
  it.each<[string, string, string, number, number, number, string]>([
    ['service.start', '1 services R1/R2', 'service-well', 1000, 15000, 30000, '3 in 5 min'],
    ['service.stop', '1 services R1/R2', 'service-stopped', 500, 10000, 30000, '3 in 5 min'],
    ['service.restart', '1 services R1/R2', 'service-well', 1000, 15000, 30000, '3 in 5 min'],
    ['service.reload', '1 services R1/R2', 'signal-effective', 1000, 8000, 30000, '3 in 5 min'],
    ['service.signal', '1 services R1/R2', 'signal-effective', 1000, 8000, 30000, '3 in 5 min'],
    ['service.run', '1 services R1/R2', 'task-succeeded', 0, 60000, 30000, '3 in 5 min'],
    ['service.claim', '1 processes R1/R2', 'process-ended', 0, 5000, 30000, '3 in 5 min'],
    ['process.signal', '1 processes R1/R2', 'signal-effective', 1000, 8000, 5000, '3 in 5 min'],
    ['process.renice', '1 processes R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['process.ioprio', '1 processes R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['process.limit', '1 processes R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['process.spawn', '1 programs R2', 'program-succeeded', 0, 65000, 10000, '3 in 5 min'],
    ['sysctl.set', '1 sysctls R1/R2', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['cgroup.limit', '1 cgroups R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['cgroup.freeze', '1 cgroups R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['io.scheduler', '1 blocks R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['io.readahead', '1 blocks R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['fs.write', '1 files R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['fs.remove', '1 files R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['fs.restore', '1 files R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['fs.rotate', '1 files R1', 'as-intended', 500, 5000, 10000, '3 in 5 min'],
    ['fs.clean', '1 files R1/R3 gradual', 'files-gone', 1000, 10000, 30000, '20 in 5 min'],
    ['net.block', '1 net R2', 'peers-kept', 6000, 12000, 10000, '3 in 5 min'],
    ['net.unblock', '1 net R2', 'peers-kept', 6000, 12000, 10000, '3 in 5 min'],
  ])('%s', (name, what, condition, stableMs, windowMs, timeoutMs, rate) => {
    const tool = changeToolOf({ tool: name });
    const { version, capability, risks, gradual } = tool;
    expect(`${version} ${capability} ${risks.join('/')}${gradual === true ? ' gradual' : ''}`).toBe(what);
    expect(tool.verification).toEqual({ condition, stableMs, windowMs });
    expect(tool.timeoutMs).toBe(timeoutMs);
    expect(`${tool.rate.uses} in ${tool.rate.withinMs / 60_000} min`).toBe(rate);
  });
});

describe('a tool that only reads', () => {
  it.each<[string, Record<string, Argument>, unknown]>([
    ['process.list', {}, processes.toSorted((a, b) => b.rssBytes - a.rssBytes)],
    ['process.list', { name: 'db', top: 1 }, [processes[1]]],
    ['sysctl.get', { key: 'vm.swappiness' }, { value: '60' }],
    ['fs.list', { directory: '/srv/tmpfiles' }, [expect.objectContaining({ path: '/srv/tmpfiles/x.tmp', size: 1 })]],
    [
      'fs.stat',
      { path: '/data/file' },
      { path: '/data/file', type: 'file', size: 4, mode: 0o640, uid: 0, gid: 0, mtimeMs: NOW_MS - HOUR_MS, links: 1, inode: 9 },
    ],
    ['monitor.cpu', {}, { cpu: 'ticks', cpus: 2, load: [1] }],
    ['monitor.memory', {}, { totalBytes: 4, availableBytes: 3, swapTotalBytes: 2, swapFreeBytes: 1 }],
    ['monitor.disks', {}, { mounts: ['/'], disks: ['sda'] }],
    ['monitor.pressure', {}, { cpu: 5, memory: 6, io: 7 }],
  ])('%s %o', async (name, given, value) => {
    const { tool, call } = parseCall({ tool: name, ...given });
    expect(await (tool as ReadTool).read(call, machine)).toEqual({ ok: true, value });
    expect([tool.risk(call), tool.kind]).toEqual(['R0', 'read']);
  });

  it('says why where there is nothing to read', async () => {
    const { tool, call } = parseCall({ tool: 'fs.stat', path: '/denied' });
    expect(await (tool as ReadTool).read(call, machine)).toMatchObject({ ok: false, reason: 'not allowed here' });
    const sysctl = parseCall({ tool: 'sysctl.get', key: 'vm.none' });
    expect(await (sysctl.tool as ReadTool).read(sysctl.call, machine)).toEqual({ ok: false, reason: 'it is not there' });
  });
});

describe('a call in words', () => {
  it('names its tool and target', () => {
    const words = (call: ToolCall): string => describeCall(call);
    expect(words({ tool: 'service.restart', service: 'web' })).toBe('service.restart web');
    expect(words({ tool: 'fs.stat', path: '/x' })).toBe('fs.stat file:/x');
    expect(words({ tool: 'later.tool' })).toBe('later.tool');
    expect(() => changeToolOf({ tool: 'fs.stat', path: '/x' })).toThrow('unknown tool fs.stat');
  });

  it('is as intended where a look shows all of it', () => {
    const seen = { value: '1', other: 2 };
    expect([isAsIntended({}, seen), isAsIntended({ value: '1' }, seen), isAsIntended({ value: '1', other: 3 }, seen)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});
