// What each tool of services and processes would change, does, undoes, intends and leads back to; and what tools see of their targets.
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../node/action/tool.ts';
import { changeToolOf, parseCall } from '../../node/action/tools.ts';
import type { Argument } from '../../node/tool-call.ts';
import { facts, machine, stat } from '../support/tool-machine.ts';

describe('a tool on its target', () => {
  it.each<[string, Record<string, Argument>, string[]]>([
    [
      'service.start',
      { service: 'idle' },
      [
        'R1 idle',
        'service idle: stopped → running',
        'do ["service.start","idle"], undo ["service.stop","idle"]',
        'back {"tool":"service.stop","service":"idle"}',
      ],
    ],
    [
      'service.start',
      { service: 'gone' },
      ['R1 gone', 'service gone: exited → running', 'do ["service.start","gone"], undo none', 'back none'],
    ],
    ['service.start', { service: 'web' }, ['refused: the service is already running']],
    ['service.start', { service: 'nobody' }, ['unseen: no such service is supervised here']],
    [
      'service.stop',
      { service: 'web' },
      [
        'R1 web',
        'service web: running (pid 42) → stopped',
        'do ["service.stop","web"], undo ["service.start","web"]',
        'back {"tool":"service.start","service":"web"}',
      ],
    ],
    [
      'service.stop',
      { service: 'gone' },
      ['R1 gone', 'service gone: exited → stopped', 'do ["service.stop","gone"], undo none', 'back none'],
    ],
    [
      'service.stop',
      { service: 'idle' },
      ['R1 idle', 'service idle: stopped → stopped', 'do ["service.stop","idle"], undo none', 'back none'],
    ],
    ['service.stop', { service: 'held' }, ['refused: the service is already stopped manually']],
    [
      'service.stop',
      { service: 'unit' },
      [
        'R1 unit',
        'service unit: running (pid 50) → stopped',
        'do ["unit","stop","unit.service"], undo ["unit","start","unit.service"]',
        'back {"tool":"service.start","service":"unit"}',
      ],
    ],
    [
      'service.restart',
      { service: 'web' },
      [
        'R1 web',
        'service web: pid 42 is replaced',
        'starts: 3 → 4',
        'do ["service.stop","web"], undo ["service.start","web"]',
        'do ["service.start","web"], undo none',
        'back none',
      ],
    ],
    [
      'service.restart',
      { service: 'gone' },
      ['R1 gone', 'service gone: exited → running', 'starts: 2 → 3', 'do ["service.start","gone"], undo none', 'back none'],
    ],
    [
      'service.restart',
      { service: 'key' },
      ['R1 key', 'service key: exited → running', 'starts: 0 → 1', 'do ["service.start","key"], undo none', 'back none'],
    ],
    ['service.restart', { service: 'idle' }, ['refused: the service is stopped, not failed: service.start starts it']],
    [
      'service.restart',
      { service: 'unit' },
      [
        'R1 unit',
        'service unit: pid 50 is replaced',
        'starts: 1 → 2',
        'do ["unit","stop","unit.service"], undo ["unit","start","unit.service"]',
        'do ["unit","start","unit.service"], undo none',
        'back none',
      ],
    ],
    [
      'service.reload',
      { service: 'web' },
      ['R1 web', 'service web: pid 42 receives SIGHUP', 'do ["process.signal",42,7,"HUP"], undo none', 'back none'],
    ],
    [
      'service.reload',
      { service: 'unit' },
      ['R1 unit', 'unit unit.service is reloaded', 'do ["unit","reload","unit.service"], undo none', 'back none'],
    ],
    ['service.reload', { service: 'gone' }, ['refused: the service has no process']],
    [
      'service.signal',
      { service: 'web', signal: 'STOP' },
      [
        'R1 web',
        'pid 42 (web) receives SIGSTOP',
        'do ["process.signal",42,7,"STOP"], undo ["process.signal",42,7,"CONT"]',
        'back {"tool":"service.signal","service":"web","signal":"CONT"}',
      ],
    ],
    [
      'service.signal',
      { service: 'web', signal: 'CONT' },
      [
        'R1 web',
        'pid 42 (web) receives SIGCONT',
        'do ["process.signal",42,7,"CONT"], undo ["process.signal",42,7,"STOP"]',
        'back {"tool":"service.signal","service":"web","signal":"STOP"}',
      ],
    ],
    [
      'service.signal',
      { service: 'web', signal: 'USR1' },
      ['R1 web', 'pid 42 (web) receives SIGUSR1', 'do ["process.signal",42,7,"USR1"], undo none', 'back none'],
    ],
    ['service.signal', { service: 'idle', signal: 'STOP' }, ['refused: the service has no process']],
    [
      'service.run',
      { service: 'job' },
      ['R1 job', 'task job is run', 'do ["service.start","job"], undo ["service.stop","job"]', 'back none'],
    ],
    ['service.run', { service: 'idle' }, ['refused: it is not a task: declare task = true']],
    ['service.run', { service: 'busy' }, ['refused: the task is already running']],
    [
      'service.claim',
      { service: 'port' },
      [
        'R1 port-of:port',
        'stranger (pid 500), which listens on port 80, is terminated',
        'do ["process.end",500,77,3000], undo none',
        'back none',
      ],
    ],
    ['service.claim', { service: 'free' }, ['refused: no process holds its port']],
    ['service.claim', { service: 'shared' }, ['refused: its port is not declared as exclusive (port_exclusive = true)']],
    ['service.claim', { service: 'up' }, ['refused: the service runs and may hold its port itself']],
    ['service.claim', { service: 'denied' }, ['unseen: not allowed here']],
    ['service.claim', { service: 'web' }, ['unseen: no such service with a port is supervised here']],
    [
      'process.signal',
      { pid: 500, signal: 'STOP' },
      [
        'R2 pid:500',
        'pid 500 (worker) receives SIGSTOP',
        'do ["process.signal",500,77,"STOP"], undo ["process.signal",500,77,"CONT"]',
        'back {"tool":"process.signal","pid":500,"signal":"CONT"}',
      ],
    ],
    [
      'process.signal',
      { pid: 500, signal: 'USR1' },
      ['R1 pid:500', 'pid 500 (worker) receives SIGUSR1', 'do ["process.signal",500,77,"USR1"], undo none', 'back none'],
    ],
    ['process.signal', { pid: 501, signal: 'STOP' }, ['unseen: it is not there']],
    [
      'process.renice',
      { pid: '500', nice: '-3' },
      [
        'R1 pid:500',
        'pid 500 (worker): nice 5 → -3',
        'do ["process.nice",500,77,-3], undo ["process.nice",500,77,5]',
        'intends {"startTicks":77,"nice":-3}',
        'back {"tool":"process.renice","pid":500,"nice":5}',
      ],
    ],
    [
      'process.ioprio',
      { pid: 500, class: 'realtime', level: 7 },
      [
        'R1 pid:500',
        'pid 500 (worker): I/O best-effort 4 → realtime 7',
        'do ["process.ioprio",500,77,1,7], undo ["process.ioprio",500,77,2,4]',
        'intends {"startTicks":77,"ioClass":1,"ioLevel":7}',
        'back {"tool":"process.ioprio","pid":500,"class":"best-effort","level":4}',
      ],
    ],
    [
      'process.ioprio',
      { pid: 500, class: 'idle', level: 7 },
      [
        'R1 pid:500',
        'pid 500 (worker): I/O best-effort 4 → idle 0',
        'do ["process.ioprio",500,77,3,0], undo ["process.ioprio",500,77,2,4]',
        'intends {"startTicks":77,"ioClass":3,"ioLevel":0}',
        'back {"tool":"process.ioprio","pid":500,"class":"best-effort","level":4}',
      ],
    ],
    [
      'process.ioprio',
      { pid: 500, class: 'none' },
      [
        'R1 pid:500',
        'pid 500 (worker): I/O best-effort 4 → none 0',
        'do ["process.ioprio",500,77,0,0], undo ["process.ioprio",500,77,2,4]',
        'intends {"startTicks":77,"ioClass":0,"ioLevel":0}',
        'back {"tool":"process.ioprio","pid":500,"class":"best-effort","level":4}',
      ],
    ],
    [
      'process.limit',
      { pid: 500, resource: 'nofile', soft: 4096 },
      [
        'R1 pid:500',
        'pid 500 (worker): nofile 1024 → 4096',
        'do ["process.limit",500,77,"nofile",4096,4096], undo ["process.limit",500,77,"nofile",1024,4096]',
        'intends {"startTicks":77,"nofileSoft":4096}',
        'back {"tool":"process.limit","pid":500,"resource":"nofile","soft":1024}',
      ],
    ],
    ['process.limit', { pid: 500, resource: 'nofile', soft: 4097 }, ['refused: the hard limit of nofile is 4096']],
    ['process.limit', { pid: 500, resource: 'nofile', soft: -1 }, ['refused: the hard limit of nofile is 4096']],
    [
      'process.limit',
      { pid: 500, resource: 'core', soft: -1 },
      [
        'R1 pid:500',
        'pid 500 (worker): core 0 → -1',
        'do ["process.limit",500,77,"core",-1,-1], undo ["process.limit",500,77,"core",0,-1]',
        'intends {"startTicks":77,"coreSoft":-1}',
        'back {"tool":"process.limit","pid":500,"resource":"core","soft":0}',
      ],
    ],
    [
      'process.spawn',
      { command: ['/bin/true', '-x'], user: 'nobody', timeout_s: 5 },
      [
        'R2 program:/bin/true',
        'runs ["/bin/true","-x"] as nobody, for 5 s at most',
        'do ["spawn","nobody",["/bin/true","-x"],5000], undo ["spawn.end"]',
        'back none',
      ],
    ],
    [
      'process.spawn',
      { command: ['/bin/true'] },
      [
        'R2 program:/bin/true',
        'runs ["/bin/true"] as a separate user, for 30 s at most',
        'do ["spawn","",["/bin/true"],30000], undo ["spawn.end"]',
        'back none',
      ],
    ],
    ['process.spawn', { command: ['true'] }, ['refused: the program must be an absolute path']],
    [
      'sysctl.set',
      { key: 'vm.swappiness', value: ' 10 ' },
      [
        'R1 sysctl:vm.swappiness',
        'vm.swappiness: 60 → 10',
        'do ["sysctl.write","vm.swappiness","10"], undo ["sysctl.write","vm.swappiness","60"]',
        'intends {"value":"10"}',
        'back {"tool":"sysctl.set","key":"vm.swappiness","value":"60"}',
      ],
    ],
    [
      'sysctl.set',
      { key: 'net.ipv4.tcp_rmem', value: '1 2  3' },
      [
        'R1 sysctl:net.ipv4.tcp_rmem',
        'net.ipv4.tcp_rmem: 4096 131072 6291456 → 1 2 3',
        'do ["sysctl.write","net.ipv4.tcp_rmem","1 2 3"], undo ["sysctl.write","net.ipv4.tcp_rmem","4096 131072 6291456"]',
        'intends {"value":"1 2 3"}',
        'back {"tool":"sysctl.set","key":"net.ipv4.tcp_rmem","value":"4096 131072 6291456"}',
      ],
    ],
  ])('%s %o', async (tool, given, expected) => {
    expect(await facts(tool, given)).toEqual(expected);
  });
});

describe('what a tool sees of its target', () => {
  it.each<[string, Record<string, Argument>, Record<string, unknown>]>([
    [
      'service.stop',
      { service: 'web' },
      { name: 'web', state: 'running', pid: 42, startTicks: 7, starts: 3, critical: 0, task: 0, unit: null, onPurpose: 0 },
    ],
    ['service.start', { service: 'held' }, { state: 'stopped', pid: null, startTicks: null, onPurpose: 1 }],
    ['service.restart', { service: 'key' }, { critical: 1 }],
    ['service.run', { service: 'job' }, { task: 1 }],
    ['service.stop', { service: 'unit' }, { unit: 'unit.service' }],
    [
      'service.claim',
      { service: 'port' },
      { port: 80, state: 'exited', exclusive: 1, critical: 0, pid: 500, startTicks: 77, program: 'stranger', uid: 33 },
    ],
    ['service.claim', { service: 'free' }, { pid: null, startTicks: null, program: null, uid: null }],
    ['service.claim', { service: 'shared' }, { exclusive: 0, critical: 0 }],
    ['service.claim', { service: 'vital' }, { exclusive: 1, critical: 1 }],
    [
      'process.renice',
      { pid: 500, nice: 1 },
      { pid: 500, startTicks: 77, name: 'worker', uid: 33, nice: 5, ioClass: 2, ioLevel: 4, nofileSoft: 1024, nofileHard: 4096 },
    ],
    ['sysctl.set', { key: 'vm.swappiness', value: '1' }, { value: '60' }],
    ['fs.write', { path: '/data/new', content: '' }, { type: 'absent', size: 0, mode: 0, inode: 0, content: null }],
    ['fs.write', { path: '/data/file', content: '' }, { type: 'file', size: 4, mode: 0o640, inode: 9, content: '610a62' }],
    ['fs.restore', { path: '/data/file', backup: 'act-1-0' }, { archived: '6f6c64' }],
    ['fs.rotate', { path: '/data/log' }, { inode: 20, firstInode: 21 }],
    [
      'fs.clean',
      { directory: '/var/cache/app', suffix: '.tmp', older_than_s: 60 },
      { count: 2, bytes: 12, names: '["a.tmp","b.tmp"]' },
    ],
    ['net.block', { address: '192.0.2.7' }, { address: '192.0.2.7', peers: 4 }],
  ])('%s %o', async (tool, given, before) => {
    const { call } = parseCall({ tool, ...given });
    expect(await changeToolOf(call).look(call, machine)).toMatchObject({ ok: true, before });
  });

  it('is the thousand oldest files where there are more to clean, of which forty are named', async () => {
    const many = Array.from({ length: 1_001 }, (_, i) => stat(`/tmp/f${i}.tmp`, 'file', 1, { mtimeMs: 2_000 - i }));
    const full = { ...machine, actuator: { read: async () => ({ ok: true, value: many }) } } as unknown as Machine;
    const { call } = parseCall({ tool: 'fs.clean', directory: '/tmp', suffix: '.tmp', older_than_s: 0 });
    const look = await changeToolOf(call).look(call, full);
    const before = look.ok ? look.before : {};
    expect([before.count, String(before.names).startsWith('["f1000.tmp"'), String(before.names).includes('"f0.tmp"')]).toEqual([
      1_000,
      true,
      false,
    ]);
    const diff = await changeToolOf(call).dryRun(call, before, full);
    expect([diff.length, diff[1], diff.at(-1)]).toEqual([42, '-/tmp/f1000.tmp', '… and 960 more']);
  });
});
