// Every mistake at the edge is one line that says where, what is there, and what it should be: a table over all keys of the schema and all layers, made
// from the schema, and what reaches the system beside it: directories, ports, tokens, names of machines.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { readLayers } from '../../node/config/adapters/read-layers.ts';
import { configSchema, ENVIRONMENT_KEYS, resolveConfig } from '../../node/config/config.ts';
import { KalosError } from '../../node/errors.ts';
import { nameOfMachine } from '../../swarm/identity/machine-name.ts';
import type { Ran } from '../support/agents.ts';
import { patient } from '../support/patience.ts';

const KALOS = join(findPackage().root, 'bin', 'kalos');
const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});
function place(): string {
  const path = mkdtempSync(join(tmpdir(), 'kalos-edges-'));
  directories.push(path);
  return path;
}

// The schema, walked

interface Definition {
  innerType?: Schema;
  in?: Schema;
  element?: Schema;
  options?: Schema[];
  type: string;
}
interface Schema {
  def: Definition;
  shape?: Record<string, Schema>;
}

/** What is beneath defaults, refinements and transformations. */
function bare(schema: Schema): Schema {
  const { innerType, in: before } = schema.def;
  const inner = innerType ?? before;
  return inner === undefined ? schema : bare(inner);
}

/** What an item of each list of tables must have at the least. */
const ITEMS: Record<string, Record<string, unknown>> = {
  service: { name: 'web', command: ['sleep'] },
  sysctl: { key: 'vm.swappiness', value: 1 },
  file: { path: '/etc/motd', content: '' },
  log: { path: '/var/log/x.log', max_bytes: 4096 },
  cleanup: { directory: '/var/cache/x', suffix: '.tmp' },
  certificate: { path: '/etc/x.pem' },
  resolver: { servers: ['127.0.0.1'] },
  question: { name: 'up', description: 'who is up', sql: 'select node from nodes' },
  maintenance: { days: ['mon'], start: '02:00', end: '03:00' },
  policy: { name: 'mine', when: 'true', summary: 's' },
};

interface Key {
  path: string[];
  /** A document in which nothing but this key's value is wrong. */
  document(value: unknown): Record<string, unknown>;
}

function keysOf(schema: Schema, path: string[], document: (value: unknown) => Record<string, unknown>): Key[] {
  const { shape, def } = bare(schema);
  const own: Key = { path, document };
  if (shape !== undefined) {
    const inner = Object.entries(shape).flatMap(([key, one]) =>
      keysOf(one, [...path, key], (value) => document({ [key]: value })),
    );
    return [own, ...inner];
  }
  const element = def.type === 'array' && def.element !== undefined ? bare(def.element) : undefined;
  if (element?.shape === undefined) return [own];
  const item = ITEMS[path[0] ?? ''];
  if (item === undefined || path.length > 1) return [own];
  const inner = Object.entries(element.shape).flatMap(([key, one]) =>
    keysOf(one, [...path, key], (value) => document([{ ...item, [key]: value }])),
  );
  return [own, ...inner];
}

const KEYS = Object.entries(configSchema.shape).flatMap(([key, schema]) =>
  keysOf(schema as unknown as Schema, [key], (value) => ({ [key]: value })),
);

/** Of every type, and beyond every bound; as TOML can say them. */
const VALUES: unknown[] = [
  '',
  ' ',
  'x'.repeat(100_000),
  'line\nline',
  'nul\u0000',
  'esc\u001b[31m',
  'right\u202eto left',
  '../..',
  '💥',
  0,
  -1,
  0.5,
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  true,
  [],
  [1],
  [''],
  [[]],
  [{ name: 1 }],
  {},
  { x: 1 },
  new Date(0),
];

const isControl = (letter: string): boolean => letter < ' ' || (letter >= '\u007f' && letter <= '\u009f') || letter === '\u202e';

/** @returns what is wrong with how a wrong value is refused; undefined where it is taken, or refused well. */
function complaint(place_: RegExp, resolve: () => unknown): string | undefined {
  try {
    resolve();
    return undefined;
  } catch (error) {
    if (!(error instanceof KalosError)) return `an exception: ${String(error)}`;
    const lines = error.message.split('\n');
    return lines
      .map((line) => {
        if (!place_.test(line)) return `does not say where: ${line}`;
        if ([...line].some(isControl)) return `has a control character: ${JSON.stringify(line)}`;
        if (line.length > 400) return `is too long: ${line.slice(0, 200)}`;
        if (/Invalid (input|option|type)|\[object|undefined|expected /.test(line)) return `is a library's own words: ${line}`;
        return undefined;
      })
      .find((one) => one !== undefined);
  }
}

const refuses = (resolve: () => unknown): boolean => {
  try {
    resolve();
    return false;
  } catch {
    return true;
  }
};

describe('a value that is wrong', () => {
  it('is refused in words, whatever the key, whichever the layer', () => {
    const layers: [string, RegExp][] = [
      ['/etc/kalos/kalos.toml', /\/etc\/kalos\/kalos\.toml: /],
      ['/var/lib/kalos/kalos.toml', /\/var\/lib\/kalos\/kalos\.toml: /],
      ['flags', /^--|^flags: /],
    ];
    const wrong: string[] = [];
    const everTaken: string[] = [];
    let cells = 0;
    for (const key of KEYS) {
      let refused = 0;
      for (const value of VALUES) {
        for (const [origin, says] of layers) {
          const resolve = () =>
            resolveConfig([
              { origin: '/first.toml', document: {} },
              { origin, document: key.document(value) },
            ]);
          const found = complaint(says, resolve);
          cells++;
          if (found !== undefined)
            wrong.push(`${key.path.join('.')} = ${JSON.stringify(value)?.slice(0, 40)} in ${origin}: ${found}`);
          if (refuses(resolve)) refused++;
        }
      }
      if (refused === 0) everTaken.push(key.path.join('.'));
    }
    console.log(
      `${KEYS.length} keys, ${VALUES.length} values, ${layers.length} layers: ${cells} cells, ${cells - wrong.length} held`,
    );
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(everTaken).toEqual([]); // no key takes whatever it is given
    expect(KEYS.length).toBeGreaterThan(100);
  });

  it('is refused in words where a variable says it, and a text of digits is a text', () => {
    const dir = place();
    const texts = VALUES.filter((value) => typeof value === 'string' || typeof value === 'number').map(String);
    const wrong: string[] = [];
    for (const [variable] of ENVIRONMENT_KEYS)
      for (const text of [...texts, 'true', '1,2']) {
        const found = complaint(new RegExp(`^${variable}( |:|$)`), () =>
          resolveConfig(readLayers({ dir, environment: { [variable]: text }, system: join(dir, 'none') })),
        );
        if (found !== undefined) wrong.push(`${variable}=${JSON.stringify(text).slice(0, 40)}: ${found}`);
      }
    expect(wrong).toEqual([]);
    const named = (environment: Record<string, string>) =>
      resolveConfig(readLayers({ dir, environment, system: join(dir, 'none') }));
    expect(named({ KALOS_NAME: '1234' }).name).toBe('1234');
    expect(named({ KALOS_NAME: 'true' }).name).toBe('true');
    expect(named({ KALOS_POLICY_ENGINE_MAX_RULES: '12' }).policy_engine.max_rules).toBe(12);
    expect(() => named({ KALOS_POLICY_ENGINE_MAX_RULES: 'many' })).toThrow(
      'KALOS_POLICY_ENGINE_MAX_RULES = "many": must be a number',
    );
  });

  it('is blamed on the file that says it, an unknown key and one of a list too', () => {
    const dir = place();
    const system = join(dir, 'system');
    mkdirSync(system);
    writeFileSync(join(system, 'kalos.toml'), 'mode = "act"\n[[service]]\nname = "a"\ncommand = ["x"]\n');
    const own = (text: string) => () => {
      writeFileSync(join(dir, 'kalos.toml'), text);
      return resolveConfig(readLayers({ dir, environment: {}, system }));
    };
    const here = join(dir, 'kalos.toml');
    expect(own('moed = "act"')).toThrow(`${here}:1: moed: unknown key; did you mean "mode"?`);
    expect(own('[api]\nlitsen = "off"')).toThrow(`${here}:2: api.litsen: unknown key; did you mean "listen"?`);
    expect(own('[[service]]\ncommand = ["x"]')).toThrow(`${here}:1: service.[2].name: is missing: a quoted string`);
    expect(own('[[service]]\nname = "b"\ncommand = ["x"]\nprt = 1')).toThrow(`${here}:4: service.[2].prt: unknown key`);
    expect(own('listen = "127.0.0.1:70000"')).toThrow(
      `${here}:1: listen = "127.0.0.1:70000": must be an IP address and a port of 0 to 65535, such as 0.0.0.0:7700`,
    );
    expect(own('listen = "300.0.0.1:7700"')).toThrow('must be an IP address');
    const unfit = (keys: string) => own(`[[service]]\nname = "b"\n${keys}`);
    expect(unfit('')).toThrow('name":"b"}: needs either a command or a unit');
    expect(unfit('command = ["x"]\ncheck = { kind = "tcp" }')).toThrow('"tcp"}: needs the port of the service, for a check by');
    expect(unfit('unit = "x.service"\nfailover = true')).toThrow('failover = true: needs a command: a systemd unit or a task');
    expect(own('[api]\nlisten = "0.0.0.0:1"')).toThrow('"0.0.0.0:1": listening on a non-loopback address needs certificate');
    const planted = 'planted-x9q';
    const of = (environment: string) => `[[service]]\nname = "b"\nenvironment = ${environment}\ncommand = ["x"]\n`;
    const table = `[service]\nenvironment = { A = "${planted}" }\n`;
    for (const wrong of [`"${planted}"`, `["A=${planted}"]`, `{ A = ["${planted}"] }`, `{ A = { B = "${planted}" } }`].map(of)) {
      expect(own(wrong)).toThrow('environment');
      expect(own(wrong)).not.toThrow(planted);
    }
    expect(own(table)).toThrow('service');
    expect(own(table)).not.toThrow(planted);
    expect(own(of('{ A = 1234567890 }'))).toThrow(`${here}:3: service.[2].environment.A: must be a quoted string`);
    expect(own('join = ["kalosx", "secret-token-of-somebody"]')).not.toThrow(/secret-token-of-somebody.*must/);
  });
});

/** As a shell runs it, with other variables than the test's own. */
function kalosWith(environment: Record<string, string>, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { ...process.env, KALOS_API_LISTEN: 'off', ...environment };
    execFile(KALOS, args, { env, timeout: patient(30_000) }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

describe('what reaches the system', () => {
  it('is looked at before: paths, ports, tokens', async () => {
    const dir = place();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const cases: [string, Record<string, string>, string[], RegExp][] = [
      ['a long directory', {}, ['status', '--dir', `/tmp/${'d'.repeat(100)}`], /has 105 bytes, limit 93/],
      ['no directory', {}, ['status', '--dir', ''], /--dir is empty/],
      ['a directory of two lines', {}, ['status', '--dir', '/tmp/a\nb'], /has a control character: "\/tmp\/a\\nb"/],
      ['a file as directory', {}, ['up', '--dir', '/etc/passwd'], /\/etc\/passwd is not a directory/],
      ['a directory that cannot be', {}, ['up', '--dir', '/proc/self/kalos'], /\/proc\/self\/kalos cannot be used: No such file/],
      [
        'a token of two lines',
        { KALOS_ADDRESS: 'https://127.0.0.1:1', KALOS_API_TOKEN: 'a\nb' },
        ['status'],
        /KALOS_API_TOKEN is not a valid token/,
      ],
      [
        'no authority',
        { KALOS_ADDRESS: 'https://127.0.0.1:1', KALOS_CA: '/nonexistent' },
        ['status'],
        /KALOS_CA \/nonexistent cannot be read: No such/,
      ],
      [
        'a port that is taken',
        {},
        ['up', '--dir', join(dir, 'a'), '--listen', `127.0.0.1:${port}`],
        /cannot listen on .*: address already in use\n/,
      ],
      [
        'an address of another machine',
        {},
        ['up', '--dir', join(dir, 'b'), '--listen', '203.0.113.7:7700'],
        /cannot listen on .*: address not available\n/,
      ],
      [
        'a directory as configuration',
        {},
        ['up', '--dir', join(dir, 'c'), '--config', '/etc'],
        /\/etc cannot be read: It is a directory/,
      ],
      ['a page beyond the ports', {}, ['up', '--dir', join(dir, 'd'), '--page', '70000'], /--page = "127.0.0.1:70000": must be/],
    ];
    for (const [what, environment, args, says] of cases) {
      const { code, stderr } = await kalosWith(environment, ...args);
      expect([what, [1, 2].includes(code), stderr]).toEqual([what, true, expect.stringMatching(says)]);
      expect(stderr).not.toMatch(/^\s+at /m);
    }
    taken.close();
  });
});

describe('the name of a machine', () => {
  const peers = ['12D3KooWAbcdefghijklmnopqrstuvwxyzABCDEFGHJKLMNPQRST', '12D3KooWAbcdefghijklmnopqrstuvwxyzABCDEFGHJKLMNPQRSU'];
  it('is its host name, and stays its own where that is too long', () => {
    const [a = '', b = ''] = peers;
    expect(nameOfMachine('web-1.example.org', a)).toBe('web-1');
    const long = 'a-rather-long-host-name-in-the-north-';
    const names = [nameOfMachine(`${long}1`, a), nameOfMachine(`${long}2`, b)];
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(resolveConfig([{ origin: 'test', document: { name } }]).name).toBe(name);
  });

  it('is one that an agent may have, whatever the host is called', () => {
    for (const host of [
      '',
      '.',
      '_',
      'under_score',
      '-x-',
      'ü',
      'x'.repeat(64),
      'localhost',
      `${'a'.repeat(16)}-${'b'.repeat(40)}`,
    ]) {
      const name = nameOfMachine(host, peers[0] ?? '');
      expect(resolveConfig([{ origin: 'test', document: { name } }]).name).toBe(name);
    }
  });
});
