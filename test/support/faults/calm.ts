// What looks like a fault and is none: there the right thing is to do nothing.
import { appendFileSync, chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Fault, MIB, note } from './fault.ts';
import type { Place } from './place.ts';

/** Probed at the end alone: the service answers, and is the very process that it was. */
function calm(
  kind: string,
  inject: Fault['inject'],
  { keys = [], declare }: { keys?: string[]; declare?: Fault['declare'] } = {},
): Fault {
  return {
    kind,
    calm: true,
    blames: [],
    declare: declare ?? ((place) => place.declared(keys)),
    grant: (place) => `allow path ${place.root}\nallow sysctl net.\n`,
    inject: async (place) => {
      note(place).pid = await place.pid();
      await inject(place);
    },
    probe: async (place) => (await place.answers()) ?? ((await place.pid()) === note(place).pid ? undefined : 'it was restarted'),
  };
}

/** As a person does: it must not be taken for a fault. */
async function byHand(place: Place, tool: string): Promise<void> {
  const { result, detail } = await place.act({ tool, service: place.service });
  if (result !== 'confirmed') throw new Error(`${tool}: ${result}: ${detail}`);
}

export const CALM: readonly Fault[] = [
  calm('busy', (place) => place.tell(`burn ${place.random.between(0.1, 0.25).toFixed(2)} 60`), {
    keys: ['bounds = { cpus = 0.6 }'],
  }),
  calm('compile', (place) => place.tell(`burn 0.9 ${place.whole(3, 5)}`), { keys: ['bounds = { cpus = 0.3 }'] }),
  calm('backup', (place) => place.tell(`flood 4 ${place.whole(3, 6)} ${place.path(place.word())}`), {
    keys: ['bounds = { write_bytes_s = 1000000 }'],
  }),
  calm('cache-warm', (place) => place.tell(`leak 10 ${place.whole(20, 40)}`), {
    keys: [`bounds = { memory_bytes = ${80 * MIB} }`],
  }),
  calm('workers', (place) => place.tell(`fork 10 ${place.whole(4, 8)}`), { keys: ['bounds = { processes = 12 }'] }),
  {
    ...calm('planned-restart', (place) => byHand(place, 'service.restart')),
    probe: (place) => place.answers(),
  },
  {
    ...calm('stopped-on-purpose', (place) => byHand(place, 'service.stop')),
    probe: async (place) => ((await place.answers()) === undefined ? 'it was started again' : undefined),
  },
  calm(
    'log-burst',
    (place) => {
      for (let i = 0; i < 5; i++) appendFileSync(String(note(place).file), 'x'.repeat(Math.floor(Number(note(place).most) / 8)));
    },
    {
      declare: (place) => {
        Object.assign(note(place), { file: place.path('log', 'app.log'), most: place.whole(50_000, 500_000) });
        writeFileSync(String(note(place).file), '');
        return `${place.declared()}[[log]]\npath = "${note(place).file}"\nmax_bytes = ${note(place).most}\n`;
      },
    },
  ),
  calm(
    'same-file-again',
    (place) => {
      const { file, content } = note(place);
      rmSync(String(file));
      writeFileSync(String(file), String(content), { mode: 0o644 });
      chmodSync(String(file), 0o644);
    },
    {
      declare: (place) => {
        Object.assign(note(place), { file: place.path('etc', 'a.conf'), content: `port = ${place.whole(1, 999)}\n` });
        writeFileSync(String(note(place).file), String(note(place).content), { mode: 0o644 });
        chmodSync(String(note(place).file), 0o644);
        return `${place.declared()}[[file]]\npath = "${note(place).file}"\ncontent = ${JSON.stringify(note(place).content)}\nmode = "644"\n`;
      },
    },
  ),
  calm(
    'disk-in-use',
    (place) => {
      void place.inside('sh', '-c', `dd if=/dev/zero of=${note(place).cache}/big.tmp bs=1M count=7`);
    },
    {
      declare: async (place) => {
        const volume = place.path(place.word());
        const cache = join(volume, 'cache');
        await place.inside('sh', '-c', `mkdir -p ${volume} && mount -t tmpfs -o size=10m none ${volume} && mkdir -p ${cache}`);
        note(place).cache = cache;
        return `${place.declared()}[[cleanup]]\ndirectory = "${cache}"\nsuffix = ".tmp"\nolder_than_s = 0\n`;
      },
    },
  ),
  calm(
    'undeclared-setting',
    async (place) => {
      await place.inside(
        'sh',
        '-c',
        `echo ${place.whole(10, 50)} > /proc/sys/net/ipv4/tcp_fin_timeout; mkdir -p ${place.root}/other; echo x > ${place.root}/other/file`,
      );
    },
    { declare: (place) => `${place.declared()}[[sysctl]]\nkey = "net.ipv4.tcp_retries2"\nvalue = "15"\n` },
  ),
];
