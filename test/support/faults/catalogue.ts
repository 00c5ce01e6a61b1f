// The faults of the benchmark `healing`: how each is declared, made, and seen to be over, from outside the agent. Names,
// paths, ports and rates come from the seed.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { AS_AGENT } from '../agents.ts';
import { eventually } from '../clock.ts';
import { type Fault, MIB, note } from './fault.ts';
import type { Place } from './place.ts';

const answers = (place: Place): Promise<string | undefined> => place.answers();
const HTTP = (place: Place): string =>
  `if failed port ${place.port} protocol http with timeout 2 seconds for 2 cycles then restart`;

function monitProcess(place: Place, ...rules: string[]): string {
  const { start, stop, pidFile } = place.writeStarter();
  const lines = rules.map((rule) => `  ${rule}\n`).join('');
  return `check process ${place.service} with pidfile ${pidFile}\n  start program = "${start}"\n  stop program = "${stop}"\n${lines}`;
}

/** A fault of the service itself, told or signalled. */
function ofService(
  kind: string,
  inject: (place: Place) => Promise<void> | void,
  {
    keys = [],
    probe = answers,
    monit = [],
    blames = ['service-out-of-bounds'],
  }: { keys?: string[]; probe?: Fault['probe']; monit?: string[]; blames?: string[] } = {},
): Fault {
  return {
    kind,
    blames,
    declare: (place) => place.declared(keys),
    inject,
    probe,
    certain: kind === 'crashed',
    monit: (place) => monitProcess(place, HTTP(place), ...monit),
  };
}

/** Where the process that answers uses no more than it may. */
async function within(place: Place, look: (pid: number) => number, most: number, what: string): Promise<string | undefined> {
  const wrong = await place.answers();
  if (wrong !== undefined) return wrong;
  const value = look(await place.pid());
  return value <= most ? undefined : `${what}: ${value}`;
}

const statusFigure = (pid: number, name: string): number =>
  Number(readFileSync(`/proc/${pid}/status`, 'latin1').match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))?.[1] ?? 0);
const cpuTicks = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
};
/** Of all its threads. */
const childrenOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').trim().split(' '))
    .filter((text) => text !== '');

const SERVICE_FAULTS: readonly Fault[] = [
  ofService(
    'crashed',
    async (place) => {
      const pid = await place.pid();
      place.signal(pid, place.pick(['SIGSEGV', 'SIGABRT', 'SIGKILL', 'SIGTERM', 'SIGBUS']));
      await eventually('its end', () => !existsSync(`/proc/${pid}`) || undefined);
    },
    { blames: ['service-exited'] },
  ),
  ofService('hung', (place) => place.tell('hang'), { blames: ['service-unresponsive'] }),
  ofService('frozen', async (place) => place.signal(await place.pid(), 'SIGSTOP'), {
    blames: ['service-frozen', 'service-unresponsive'],
  }),
  ofService('erroring', (place) => place.tell('error'), { blames: ['service-unresponsive'] }),
  {
    ...ofService(
      'silent',
      async (place) => {
        note(place).pid = await place.pid();
        place.tell('mute');
      },
      { blames: ['service-unresponsive'] },
    ),
    declare: (place) => place.declared(['check = { kind = "silence", within_s = 6 }']),
    monit: (place) => {
      const restart = place.path('again.sh');
      const rules = monitProcess(place);
      writeFileSync(restart, `#!/bin/sh\n${place.root}/stop.sh\nexec ${place.root}/start.sh\n`, { mode: 0o755 });
      return `${rules}check file output with path ${place.root}/service.log\n  if timestamp > 6 seconds for 2 cycles then exec "${restart}"\n`;
    },
    probe: async (place) =>
      (await place.answers()) ?? ((await place.pid()) === note(place).pid ? 'it has not logged anything since' : undefined),
  },
  ofService('cpu-runaway', (place) => place.tell(`burn ${place.random.between(0.4, 0.8).toFixed(2)} 600`), {
    keys: ['bounds = { cpus = 0.15 }'],
    probe: async (place) => {
      const wrong = await place.answers();
      if (wrong !== undefined) return wrong;
      const pid = await place.pid();
      const before = cpuTicks(pid);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const cpus = (cpuTicks(pid) - before) / 100;
      return cpus < 0.15 ? undefined : `it uses ${cpus} CPUs`;
    },
    monit: ['if cpu > 7% for 4 cycles then restart'],
  }),
  ofService('memory-leak', (place) => place.tell(`leak ${place.whole(8, 25)} 200`), {
    keys: [`bounds = { memory_bytes = ${60 * MIB} }`],
    probe: (place) => within(place, (pid) => statusFigure(pid, 'VmRSS') * 1024, 60 * MIB, 'it holds bytes'),
    monit: ['if totalmem > 60 MB for 4 cycles then restart'],
  }),
  ofService('fd-leak', (place) => place.tell(`files ${place.whole(20, 60)} 2000`), {
    keys: ['bounds = { files = 100 }'],
    probe: (place) => within(place, (pid) => readdirSync(`/proc/${pid}/fd`).length, 100, 'it has files open'),
    monit: ['if filedescriptors > 100 for 4 cycles then restart'],
  }),
  ofService('fork-growth', (place) => place.tell(`fork ${place.whole(3, 8)} 80`), {
    keys: ['bounds = { processes = 12 }'],
    probe: (place) => within(place, (pid) => childrenOf(pid).length, 11, 'it has children'),
    monit: ['if children > 11 for 4 cycles then restart'],
  }),
  ofService('zombies', (place) => place.tell(`zombies ${place.whole(5, 15)} 150`), {
    probe: (place) => within(place, (pid) => childrenOf(pid).length, 20, 'it has zombies'),
    monit: ['if children > 20 for 4 cycles then restart'],
    blames: ['service-zombies'],
  }),
  ofService('write-flood', (place) => place.tell(`flood ${place.whole(4, 8)} 600 ${place.path(place.word())}`), {
    keys: ['bounds = { write_bytes_s = 1000000 }'],
    probe: async (place) => {
      const wrong = await place.answers();
      if (wrong !== undefined) return wrong;
      const written = (pid: number): number =>
        Number(readFileSync(`/proc/${pid}/io`, 'latin1').match(/^write_bytes: (\d+)/m)?.[1]);
      const pid = await place.pid();
      const before = written(pid);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return written(pid) - before < 1e6 ? undefined : 'it writes on';
    },
    monit: ['if disk write rate > 1 MB/s for 4 cycles then restart'],
    blames: ['service-writes'],
  }),
  {
    kind: 'cpu-throttled',
    blames: ['service-throttled'],
    lacks: () =>
      existsSync('/sys/fs/cgroup/cpu/cpu.stat') || existsSync('/sys/fs/cgroup/cpu.stat') ? undefined : 'no CPU controller',
    declare: (place) => place.declared([`limits = { cpus = ${place.pick([0.05, 0.08, 0.1])} }`, 'bounds = { cpus = 0.6 }']),
    inject: (place) => place.tell('burn 0.35 600'),
    probe: async (place) => {
      const wrong = await place.answers();
      if (wrong !== undefined) return wrong;
      const pid = await place.pid();
      const group = readFileSync(`/proc/${pid}/cgroup`, 'latin1');
      const v1 = group.match(/^\d+:(?:[^:\n]*,)?cpu(?:,[^:\n]*)?:(.*)$/m)?.[1];
      const file =
        v1 === undefined ? `/sys/fs/cgroup${group.match(/^0::(.*)$/m)?.[1]}/cpu.stat` : `/sys/fs/cgroup/cpu${v1}/cpu.stat`;
      const throttled = (): number => Number(readFileSync(file, 'latin1').match(/^nr_throttled (\d+)/m)?.[1]);
      const before = throttled();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return throttled() - before < 3 ? undefined : 'it is held back';
    },
  },
];

// Configuration, ports

const GOOD_CONFIG = (place: Place): string => `# ${place.service}\nworkers = ${place.whole(1, 16)}\ngood = yes\n`;

const crashLoop: Fault = {
  kind: 'crash-loop',
  blames: ['service-exited'],
  settleMs: 16_000,
  declare: (place) => {
    const file = place.path('etc', `${place.word()}.conf`);
    writeFileSync(file, GOOD_CONFIG(place));
    Object.assign(note(place), { file, good: readFileSync(file, 'utf8') });
    return place.declared([`config = ["${file}"]`], file);
  },
  grant: (place) => `allow path ${place.path('etc')}\n`,
  inject: async (place) => {
    const { file } = note(place);
    const bad = place.pick(['good = no\n', '', 'good = \u0000\n', '<<<<<<< HEAD\n', '[[[\n']);
    writeFileSync(String(file), bad);
    place.signal(await place.pid(), 'SIGTERM');
  },
  probe: async (place) => {
    const { file, good } = note(place);
    return (await place.answers()) ?? (readFileSync(String(file), 'utf8') === good ? undefined : 'its configuration is another');
  },
};

const portTaken: Fault = {
  kind: 'port-taken',
  blames: ['service-exited'],
  declare: (place) => {
    const program = place.path(`old-${place.word()}`);
    execFileSync('cp', [place.victim, program]);
    note(place).program = program;
    return place.declared(['port_exclusive = true']);
  },
  grant: (place) => `allow process ${String(note(place).program).split('/').at(-1)}\n`,
  inject: async (place) => {
    const pid = await place.pid();
    place.stranger(String(note(place).program), 'hold', String(place.port));
    await new Promise((resolve) => setTimeout(resolve, 300));
    place.signal(pid, 'SIGKILL');
  },
  probe: answers,
};

/** Nobody may end the stranger: it is told, and the service is back soon after the stranger has left by itself. */
const portLent: Fault = {
  kind: 'port-lent',
  blames: ['service-exited'],
  limitMs: 180_000,
  declare: (place) => place.declared(),
  inject: async (place) => {
    const pid = await place.pid();
    const stranger = place.stranger(place.victim, 'hold', String(place.port));
    await new Promise((resolve) => setTimeout(resolve, 300));
    place.signal(pid, 'SIGKILL');
    setTimeout(() => place.signal(stranger, 'SIGKILL'), place.whole(8_000, 40_000));
  },
  probe: answers,
};

// Disks: a file system of the place's own, and what may be cleaned on it

function fullDisk(
  kind: string,
  where: (place: Place) => string,
  options: (place: Place) => string,
  fill: (cache: string, place: Place) => void,
): Fault {
  return {
    kind,
    blames: ['disk-cleanup', 'disk-full'],
    declare: async (place) => {
      const volume = where(place);
      const cache = join(volume, place.pick(['cache', 'tmp', '.cache']), place.word());
      const made = await place.inside(
        'sh',
        '-c',
        `mkdir -p ${volume} && mount -t tmpfs -o ${options(place)} none ${volume} && mkdir -p ${cache} && echo keep > ${cache}/keep.me && echo data > ${volume}/data`,
      );
      if (made.code !== 0) throw new Error(made.output);
      const suffix = place.pick(['.tmp', '.part', '.cache']);
      Object.assign(note(place), { volume, cache, suffix });
      return `${place.declared()}[[cleanup]]\ndirectory = "${cache}"\nsuffix = "${suffix}"\nolder_than_s = 0\n`;
    },
    grant: (place) => `allow path ${note(place).volume}\n`,
    inject: async (place) => fill(String(note(place).cache), place),
    probe: async (place) => {
      const { volume, cache } = note(place);
      const { output } = await place.inside(
        'sh',
        '-c',
        `df --output=pcent ${volume} | tail -1; df --output=ipcent ${volume} | tail -1; cat ${cache}/keep.me ${volume}/data`,
      );
      const [bytes, inodes, keep, data] = output.trim().split(/\s+/);
      if (keep !== 'keep' || data !== 'data') return 'what was to be kept is gone';
      const [used, usedInodes] = [Number.parseInt(bytes ?? '100', 10), Number.parseInt(inodes ?? '0', 10) || 0];
      return used <= 90 && usedInodes <= 90 ? undefined : `${used} % of bytes, ${usedInodes} % of inodes`;
    },
    monit: (place) => {
      const { volume, cache, suffix } = note(place);
      const clean = place.path('clean.sh');
      writeFileSync(clean, `#!/bin/sh\nfind ${cache} -type f -name '*${suffix}' -delete\n`, { mode: 0o755 });
      return `${monitProcess(place)}check filesystem volume with path ${volume}\n  if space usage > 90% for 2 cycles then exec "${clean}"\n  if inode usage > 90% for 2 cycles then exec "${clean}"\n`;
    },
  };
}

/** @param kb of each file. */
const fillBytes = (cache: string, place: Place): void => {
  const kb = place.whole(50, 400);
  void place.inside(
    'sh',
    '-c',
    `i=0; while dd if=/dev/zero of=${cache}/f$i${note(place).suffix} bs=1k count=${kb} 2>/dev/null; do i=$((i+1)); done`,
  );
};
const fillInodes = (cache: string, place: Place): void => {
  void place.inside('bash', '-c', `i=0; while : 2>/dev/null > ${cache}/f$i${note(place).suffix}; do i=$((i+1)); done`);
};

const DISK_FAULTS: readonly Fault[] = [
  fullDisk(
    'disk-full',
    (place) => place.path(place.word()),
    (place) => `size=${place.whole(6, 20)}m`,
    fillBytes,
  ),
  fullDisk(
    'inodes-full',
    (place) => place.path(place.word()),
    (place) => `size=20m,nr_inodes=${place.whole(150, 900)}`,
    fillInodes,
  ),
  fullDisk(
    'shm-full',
    () => '/dev/shm',
    (place) => `size=${place.whole(4, 12)}m`,
    fillBytes,
  ),
  {
    kind: 'log-growth',
    blames: ['log-growth'],
    declare: (place) => {
      const file = place.path('log', `${place.word()}.log`);
      writeFileSync(file, 'begin\n');
      const most = place.whole(50_000, 500_000);
      Object.assign(note(place), { file, most });
      return `${place.declared()}[[log]]\npath = "${file}"\nmax_bytes = ${most}\nreload = "${place.service}"\n`;
    },
    grant: (place) => `allow path ${join(String(note(place).file), '..')}\n`,
    inject: (place) =>
      appendFileSync(
        String(note(place).file),
        `${'x'.repeat(99)}\n`.repeat(Math.ceil((Number(note(place).most) * place.whole(2, 5)) / 100)),
      ),
    probe: async (place) => {
      const { file, most } = note(place);
      if (!existsSync(String(file)) || statSync(String(file)).size > Number(most)) return 'the log is too large';
      return existsSync(`${file}.1`) ? place.answers() : 'what was logged is gone';
    },
    monit: (place) => {
      const { file, most } = note(place);
      const rotate = place.path('rotate.sh');
      writeFileSync(rotate, `#!/bin/sh\nmv ${file} ${file}.1 && : > ${file}\n`, { mode: 0o755 });
      return `${monitProcess(place)}check file log with path ${file}\n  if size > ${Math.round(Number(most) / 1024)} KB for 2 cycles then exec "${rotate}"\n`;
    },
  },
];

/** A service writes to its log without end: rotating it only fills the disk with what was rotated away. */
const logFlood: Fault = {
  kind: 'log-flood',
  blames: ['log-flood'],
  declare: (place) => {
    const file = place.path('log', `${place.word()}.log`);
    writeFileSync(file, 'begin\n');
    const most = place.whole(50_000, 500_000);
    Object.assign(note(place), { file, most });
    return `${place.declared()}[[log]]\npath = "${file}"\nmax_bytes = ${most}\n${place.pick([`reload = "${place.service}"\n`, ''])}`;
  },
  grant: (place) => `allow path ${join(String(note(place).file), '..')}\n`,
  inject: (place) => {
    const { file, most } = note(place);
    place.tell(`spew ${Math.ceil((Number(most) * place.random.between(0.05, 0.5)) / 1024)} 600 ${file}`);
  },
  probe: async (place) => {
    const { file, most } = note(place);
    const sizes = (): number[] => [file, `${file}.1`].map((one) => (existsSync(String(one)) ? statSync(String(one)).size : 0));
    const before = sizes();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [now = 0, rotated = 0] = sizes();
    if (now > (before[0] ?? 0) || rotated > Math.max(...before)) return 'somebody floods it';
    return now > Number(most) ? 'the log is too large' : place.answers();
  },
};

// What is declared to be so

const SYSCTLS: readonly (readonly [string, string, string])[] = [
  ['net.ipv4.tcp_fin_timeout', '60', '5'],
  ['net.ipv4.tcp_keepalive_time', '7200', '30'],
  ['net.ipv4.tcp_syn_retries', '6', '1'],
  ['net.ipv4.tcp_retries2', '15', '3'],
  ['net.core.somaxconn', '4096', '16'],
];
const asFile = (key: string): string => `/proc/sys/${key.replaceAll('.', '/')}`;

const sysctlDrift: Fault = {
  kind: 'sysctl-drift',
  blames: ['sysctl-drift'],
  declare: (place) => {
    const [key, good, bad] = place.pick(SYSCTLS);
    Object.assign(note(place), { key, good, bad });
    return `${place.declared()}[[sysctl]]\nkey = "${key}"\nvalue = "${good}"\n`;
  },
  grant: (place) => `allow sysctl ${note(place).key}\n`,
  inject: async (place) => {
    await place.inside('sh', '-c', `echo ${note(place).bad} > ${asFile(String(note(place).key))}`);
  },
  probe: async (place) => {
    const { output } = await place.inside('cat', asFile(String(note(place).key)));
    return output.trim() === note(place).good ? undefined : `it is ${output.trim()}`;
  },
};

function declaredFile(kind: string, harm: (file: string, place: Place) => void): Fault {
  return {
    kind,
    blames: ['file-drift'],
    declare: (place) => {
      const file = place.path('etc', place.word(), `${place.word()}.conf`);
      const content = `port = ${place.whole(1, 60_000)}\nname = ${place.word()}\n`;
      writeFileSync(file, content, { mode: 0o640 });
      chmodSync(file, 0o640);
      Object.assign(note(place), { file, content });
      return `${place.declared()}[[file]]\npath = "${file}"\ncontent = ${JSON.stringify(content)}\nmode = "640"\nreload = "${place.service}"\n`;
    },
    grant: (place) => `allow path ${place.path('etc')}\n`,
    inject: (place) => harm(String(note(place).file), place),
    probe: async (place) => {
      const { file, content } = note(place);
      if (!existsSync(String(file))) return 'the file is gone';
      if (readFileSync(String(file), 'utf8') !== content) return 'the file is another';
      if ((statSync(String(file)).mode & 0o777) !== 0o640) return 'the mode is another';
      return ((await place.http())?.reloads ?? 0) > 0 ? undefined : 'its service was not told';
    },
    monit: (place) => {
      const { file } = note(place);
      const [kept, restore] = [place.path('kept'), place.path('restore.sh')];
      execFileSync('cp', ['-p', String(file), kept]);
      writeFileSync(restore, `#!/bin/sh\ncp -p ${kept} ${file} && kill -HUP $(cat ${place.root}/service.pid)\n`, { mode: 0o755 });
      return `${monitProcess(place)}check file conf with path ${file}\n  if not exist then exec "${restore}"\n  if changed checksum then exec "${restore}"\n  if failed permission 640 then exec "${restore}"\n`;
    },
  };
}

const FILE_FAULTS: readonly Fault[] = [
  declaredFile('file-drift', (file, place) => appendFileSync(file, `# edited ${place.word()}\n`)),
  declaredFile('file-deleted', (file) => rmSync(file)),
  declaredFile('file-truncated', (file, place) => truncateSync(file, place.whole(0, 5))),
  declaredFile('file-mode', (file, place) => chmodSync(file, place.pick([0o666, 0o777, 0o600, 0o644]))),
];

/** The program and arguments that make a certificate that is good for so many days from now. */
function certificateCommand(file: string, days: number): string[] {
  const words = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days ${days} -subj /CN=test`.split(' ');
  return [...words, '-keyout', `${file}.key`, '-out', file];
}

function makeCertificate(file: string, days: number): void {
  const [program = '', ...args] = certificateCommand(file, days);
  execFileSync(program, args, { stdio: 'ignore' });
}

const TLS_VICTIM = join(import.meta.dirname, 'tls-victim.ts');

const hasOpenssl = (): string | undefined => (existsSync('/usr/bin/openssl') ? undefined : 'openssl is not installed');

const certificateExpiring: Fault = {
  kind: 'certificate-expiring',
  blames: ['certificate-expiring'],
  lacks: hasOpenssl,
  declare: (place) => {
    const file = place.path('tls', `${place.word()}.pem`);
    makeCertificate(file, 90);
    Object.assign(note(place), { file });
    const task = `renew-${place.service}`.slice(0, 40);
    return `${place.declared()}[[service]]\nname = "${task}"\n${AS_AGENT}command = ${JSON.stringify(certificateCommand(file, 90))}\ntask = true\n[[certificate]]\npath = "${file}"\nrenew = "${task}"\nreload = "${place.service}"\n`;
  },
  grant: (place) => `allow path ${place.path('tls')}\n`,
  inject: (place) => {
    const file = String(note(place).file);
    const harm = place.pick(['soon', 'soon', 'soon', 'garbage', 'gone']);
    if (harm === 'soon') makeCertificate(file, place.whole(1, 12));
    else if (harm === 'garbage') writeFileSync(file, '-----BEGIN CERTIFICATE-----\nnonsense\n');
    else rmSync(file);
  },
  probe: async (place) => {
    try {
      const days = (Date.parse(new X509Certificate(readFileSync(String(note(place).file))).validTo) - Date.now()) / 86_400_000;
      if (days < 30) return `it is good for ${days.toFixed(1)} days`;
    } catch (error) {
      return String(error);
    }
    return ((await place.http())?.reloads ?? 0) > 0 ? undefined : 'its service was not told';
  },
};

/** The task that renews it fails at first: it is tried again after a while. */
const renewalFails: Fault = {
  ...certificateExpiring,
  kind: 'renewal-fails',
  limitMs: 180_000,
  declare: async (place) => {
    const toml = await certificateExpiring.declare(place);
    const flaky = `[ -e ${place.path('tried')} ] || { touch ${place.path('tried')}; exit ${place.whole(1, 99)}; }; exec "$@"`;
    return toml.replace('command = ["openssl"', `command = ["sh", "-c", ${JSON.stringify(flaky)}, "renew", "openssl"`);
  },
};

/** A server keeps the certificate that it read at its start: renewed is what clients get, not what lies in the file. */
const certificateCached: Fault = {
  kind: 'certificate-cached',
  blames: ['certificate-expiring'],
  lacks: hasOpenssl,
  declare: (place) => {
    const file = place.path('tls', `${place.word()}.pem`);
    makeCertificate(file, 20);
    const [server, task, port] = [`tls-${place.service}`.slice(0, 40), `renew-${place.service}`.slice(0, 40), place.port + 6_001];
    Object.assign(note(place), { file, port });
    const command = [process.execPath, TLS_VICTIM, String(port), file, `${file}.key`, place.pick(['reload', 'cache'])];
    // A renewal takes its time: whoever tells the server before it is over has it read the old one again.
    const renew = [
      'sh',
      '-c',
      `sleep ${place.random.between(0.5, 3).toFixed(1)}; exec "$@"`,
      'renew',
      ...certificateCommand(file, 90),
    ];
    return `${place.declared()}[[service]]\nname = "${server}"\n${AS_AGENT}command = ${JSON.stringify(command)}\nport = ${port}\n[[service]]\nname = "${task}"\n${AS_AGENT}command = ${JSON.stringify(renew)}\ntask = true\n[[certificate]]\npath = "${file}"\nrenew = "${task}"\nreload = "${server}"\n`;
  },
  grant: (place) => `allow path ${place.path('tls')}\n`,
  // The server goes on with the one of its start until it is told: so that is made to end soon, too.
  inject: async (place) => {
    const { file, port } = note(place);
    makeCertificate(String(file), place.whole(1, 12));
    await place.inside('pkill', '-KILL', '-f', `tls-victim.ts ${port} `);
  },
  probe: async (place) => {
    const { port } = note(place);
    const ask = `openssl s_client -connect 127.0.0.1:${port} < /dev/null 2> /dev/null | openssl x509 -noout -checkend ${30 * 86_400}`;
    const { code, output } = await place.inside('timeout', '5', 'sh', '-c', ask);
    return code === 0 ? undefined : `what clients get: ${output.trim()}`;
  },
};

const narrowPorts: Fault = {
  kind: 'narrow-ports',
  blames: ['ports-exhausted'],
  declare: (place) => place.declared(),
  grant: () => 'allow sysctl net.ipv4.ip_local_port_range\n',
  inject: async (place) => {
    const first = place.whole(40_000, 50_000);
    const count = place.whole(24, 60);
    await place.inside('sh', '-c', `echo ${first} ${first + count - 1} > /proc/sys/net/ipv4/ip_local_port_range`);
    place.stranger(place.victim, 'dial', String(place.port + 7), String(count + 5));
  },
  probe: async (place) => {
    const wrong = await place.answers();
    if (wrong !== undefined) return wrong;
    const { code, output } = await place.inside('timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${place.port + 7}`);
    return code === 0 ? undefined : `no new connection: ${output.trim()}`;
  },
};

const dnsBroken: Fault = {
  kind: 'dns-broken',
  blames: ['dns-broken'],
  declare: async (place) => {
    const server = `127.0.${place.whole(1, 200)}.${place.whole(2, 250)}`;
    const file = place.path('etc', 'resolv.conf');
    writeFileSync(file, `search ${place.word()}.test\nnameserver ${server}\n`);
    place.stranger(place.victim, 'dns', server);
    Object.assign(note(place), { server, file });
    return `${place.declared()}[[resolver]]\npath = "${file}"\nservers = ["${server}"]\nprobe = "example.org"\n`;
  },
  grant: (place) => `allow path ${place.path('etc')}\n`,
  inject: (place) => {
    const dead = place.pick([
      'nameserver 127.99.1.1\n',
      '# by hand\nnameserver 127.99.1.2\nnameserver 127.99.1.3\n',
      '',
      'nameserver 127.99.1.4 \n',
    ]);
    writeFileSync(String(note(place).file), dead);
  },
  probe: async (place) => {
    const { server, file } = note(place);
    const first = readFileSync(String(file), 'utf8').match(/^nameserver (\S+)/m)?.[1];
    return first === server ? undefined : `the name server is ${first}`;
  },
};

export const FAULTS: readonly Fault[] = [
  ...SERVICE_FAULTS,
  crashLoop,
  portTaken,
  portLent,
  ...DISK_FAULTS,
  logFlood,
  sysctlDrift,
  ...FILE_FAULTS,
  certificateExpiring,
  renewalFails,
  certificateCached,
  narrowPorts,
  dnsBroken,
];
