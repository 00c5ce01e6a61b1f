// A configuration that is read again: what changed is said key by key, with what it was and is; what is wrong, with its file and line.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readLayers } from '../../node/config/adapters/read-layers.ts';
import { lineOf } from '../../node/config/lines.ts';
import { PolicyError } from '../../node/detection/policy-detector.ts';
import { Configuration } from '../../node/reload.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-reload-'));
const file = join(place, 'kalos.toml');
const system = join(place, 'etc');
afterAll(() => rmSync(place, { recursive: true }));

function running(text: string, environment: Record<string, string> = {}) {
  writeFileSync(file, text);
  const configuration = new Configuration(() => readLayers({ dir: place, system, environment }));
  const noted: string[] = [];
  const reload = async (fresh: string) => {
    writeFileSync(file, fresh);
    return configuration.reload({ reconfigure: async (_config, what) => void noted.push(what) });
  };
  return { configuration, noted, reload };
}

const WEB = (more: string): string => `[[service]]\nname = "web"\ncommand = ["web"]\n${more}\n`;
const POLICY = (name: string, when: string): string => `[[policy]]\nname = "${name}"\nwhen = "${when}"\nsummary = "s"\n`;

describe('a configuration that is read again', () => {
  it('says of each key what it was and is, what is in force and what needs a restart', async () => {
    const { noted, reload, configuration } = running(
      `mdns = true\n${WEB('port = 80\nenvironment = { KEY = "planted-1" }')}${POLICY('a', 'true')}${POLICY('b', 'true')}`,
    );
    const { taken, lines } = await reload(
      `mode = "act"\nmdns = false\n[agent_log]\nlevel = "debug"\n${WEB('port = 81\nenvironment = { KEY = "planted-2" }')}${POLICY('a', 'false')}${POLICY('c', 'true')}`,
    );
    expect(taken).toBe(true);
    expect(lines.toSorted()).toEqual([
      'applied: agent_log.level: "info" → "debug"',
      'applied: mode: "observe" → "act"',
      'applied: policy.a.when: "true" → "false"',
      'applied: policy.b removed',
      'applied: policy.c added',
      'needs a restart of the agent: mdns: true → false',
      'needs a restart of the agent: service.web.environment: changed (its value is not shown)',
      'needs a restart of the agent: service.web.port: 80 → 81',
    ]);
    expect(`${lines}${noted}`).not.toContain('planted');
    expect(noted).toHaveLength(1);
    // What is in force is shown, and not what waits.
    const shown = new Map(configuration.entries().map(({ key, value }) => [key, value]));
    expect([shown.get('mode'), shown.get('mdns'), shown.get('service.web.port')]).toEqual(['act', true, 80]);
    // And is named again until the restart.
    expect(
      (await reload(`mode = "act"\nmdns = false\n${WEB('port = 80\nenvironment = { KEY = "planted-1" }')}`)).lines,
    ).toContain('needs a restart of the agent: mdns: true → false');
  });

  it('is recorded within bounds, and where it was cut that shows', async () => {
    const { noted, reload } = running('mode = "act"\n');
    const many = (count: number): string => Array.from({ length: count }, (_, i) => POLICY(`policy-${i}`, 'false')).join('');
    const { lines } = await reload(`mode = "act"\n${many(200)}`);
    expect([lines.length, noted[0]?.length, noted[0]?.endsWith('…')]).toEqual([200, 2_001, true]);
    await reload(`mode = "act"\n${many(199)}`);
    expect(noted[1]).toBe('applied: policy.policy-199 removed');
  });

  it('says of a key that is set no more that it is unset', async () => {
    const { reload } = running('name = "ada"\n');
    expect((await reload('')).lines).toEqual([expect.stringMatching(/^needs a restart of the agent: name: "ada" → /)]);
  });

  it('says that nothing has changed, where it has not', async () => {
    const { reload, noted } = running('mode = "act"\n');
    expect(await reload('# the same\nmode = "act"\n')).toEqual({
      taken: true,
      lines: ['the configuration was reloaded: no changes'],
    });
    expect(noted).toEqual([]);
  });

  it('names a key of a table whose others are as they were, and join tokens not at all', async () => {
    const { reload } = running('join = ["kalos1.planted"]\n');
    const { lines } = await reload('join = ["kalos1.other"]\n[policy_engine]\nmax_rules = 7\n');
    expect(lines).toEqual([
      'needs a restart of the agent: join: changed (its value is not shown)',
      'needs a restart of the agent: policy_engine.max_rules: unset → 7',
    ]);
  });

  it('stays as it was where the new one is wrong, and says where: file, line, key', async () => {
    mkdirSync(join(system, 'conf.d'), { recursive: true });
    writeFileSync(join(system, 'conf.d', '10.toml'), `# first\n${WEB('')}${POLICY('shared', 'true')}`);
    const { reload, configuration } = running('mode = "act"\n', {});
    const drop = join(system, 'conf.d', '10.toml');
    const cases: [string, RegExp][] = [
      ['\n\nmode = "destroy"\n', /kalos\.toml:3: mode = "destroy": must be/],
      ['mode = "act"\nmoed = 1\n', /kalos\.toml:2: moed: unknown key; did you mean "mode"\?$/],
      [
        `mode = "act"\n${WEB('')}\n[[service]]\nname = "db"\ncommand = ["db"]\nport = 99999999\n`,
        /kalos\.toml:10: service\.\[2\]\.port = 99999999: must be/,
      ],
      ['mode = = 1\n', /kalos\.toml:1:\d+: /],
      [
        `mode = "act"\n${POLICY('bad', "metrics['nope'] > 1.0")}`,
        /kalos\.toml:2: policy bad: no metric "nope".* in column \d+ of metrics\['nope'\] > 1\.0$/,
      ],
    ];
    for (const [text, says] of cases) {
      const { taken, lines } = await reload(text);
      expect([taken, lines]).toEqual([false, [expect.stringMatching(says)]]);
      expect(lines[0]).toMatch(/^the configuration is invalid; the old one stays active: \//);
      expect(configuration.inForce.mode).toBe('act');
    }
    writeFileSync(drop, `# first\n${WEB('prot = 1')}`);
    expect((await reload('mode = "act"\n')).lines[0]).toContain(`${drop}:5: service.[1].prot: unknown key`);
    // What only the agent finds, when it compiles them.
    writeFileSync(drop, `# first\n${POLICY('shared', 'true')}`);
    expect((await reload('mode = "act"\n')).lines).toEqual(['needs a restart of the agent: service.web removed']);
    expect(configuration.located(new PolicyError('shared', 'x'))).toBe(`${drop}:2: policy shared: x`);
  });
});

describe('the line of a key', () => {
  const text = [
    'mode = "act"', // 1
    '[policy_engine] # of it',
    'max_rules = 3',
    '[[service]]', // 4
    'name = "a"',
    'note = """', // 6
    'port = 1',
    '"""',
    '[service.check]', // 9
    'kind = "tcp"',
    '[[service]]', // 11
    '"port" = 2',
    'limits.files = 3', // 13
  ].join('\n');
  it.each([
    [['mode'], 1],
    [['policy_engine', 'max_rules'], 3],
    [['service', 0, 'name'], 5],
    [['service', 0, 'check', 'kind'], 10],
    [['service', 0, 'port'], 4],
    [['service', 1, 'port'], 12],
    [['service', 1, 'limits', 'files'], 13],
    [['nowhere'], undefined],
  ] as const)('%j is %s', (path, line) => {
    expect(lineOf(text, path)).toBe(line);
  });
});
