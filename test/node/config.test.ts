// Configuration: unknown keys are refused with a suggestion, wrong values with their place, and secrets are kept private.
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { makeStateDirectory, readConfigFile, stateDirectory } from '../../node/config/adapters/state-directory.ts';
import { type ConfigFlags, listenAddress, resolveConfig } from '../../node/config/config.ts';
import { closest, KalosError } from '../../node/errors.ts';

const resolve = (document: Record<string, unknown>, flags: ConfigFlags = {}) =>
  resolveConfig([
    { origin: 'kalos.toml', document },
    { origin: 'flags', document: { ...flags } },
  ]);

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});
function temporary() {
  const path = mkdtempSync(join(tmpdir(), 'kalos-config-'));
  directories.push(path);
  const directory = stateDirectory(path);
  makeStateDirectory(directory);
  return directory;
}

describe('the configuration', () => {
  it('has safe defaults: observe, and no service', () => {
    expect(resolve({})).toMatchObject({ mode: 'observe', service: [], policy: [], join: [] });
  });

  it('takes flags over the file', () => {
    expect(resolve({ mode: 'observe', name: 'file' }, { mode: 'act' })).toMatchObject({ mode: 'act', name: 'file' });
  });

  it('refuses unknown keys and says what was meant', () => {
    expect(() => resolve({ moed: 'act' })).toThrow(/moed: unknown key; did you mean "mode"\?/);
    expect(() => resolve({ service: [{ name: 'web', command: ['x'], prot: 80 }] })).toThrow(
      /service\.\[1\]\.prot: unknown key; did you mean "port"\?/,
    );
    expect(() => resolve({ policy: [{ name: 'p', when: 'true', summary: 's', fors: 3 }] })).toThrow(/for_s/);
  });

  it('names every wrong value with its place, all at once', () => {
    const attempt = () => resolve({ mode: 'destroy', listen: 'everywhere', service: [{ name: 'a b', command: [] }] });
    for (const place of [
      /mode = "destroy": /,
      /listen = "everywhere": .*such as 0\.0\.0\.0:7700/,
      /service\.\[1\]\.name = "a b": /,
      /service\.\[1\]\.command = /,
    ])
      expect(attempt).toThrow(place);
  });

  it('has an engine that can be set; keys that this version has not are refused by name', () => {
    const { policy_engine, ai_engine } = resolve({
      policy_engine: { evaluation_interval: '2s', max_rules: 100, max_concurrent_executions: 2 },
      ai_engine: { anomaly_threshold: 12 },
    });
    expect(policy_engine).toEqual({ evaluation_interval: 2_000, max_rules: 100, max_concurrent_executions: 2 });
    expect(ai_engine).toEqual({ anomaly_threshold: 12 });
    expect(() => resolve({ policy_engine: { evaluation_interval: '1h' } })).toThrow(/evaluation_interval/);
    expect(() => resolve({ policy_engine: { rule_timeout: '5ms' } })).toThrow(
      /policy_engine.rule_timeout = .*: not in this version: .*size/,
    );
    expect(() => resolve({ ai_engine: { prediction_horizon: '10m' } })).toThrow(
      /ai_engine.prediction_horizon = .*: not in this version/,
    );
    expect(() => resolve({ ebpf: { enabled: true } })).toThrow(/ebpf = .*: there are no eBPF programs/);
    expect(() => resolve({ ai_engine: { anomaly_treshold: 5 } })).toThrow(/did you mean "anomaly_threshold"/);
  });

  it('refuses a service that is declared twice', () => {
    const web = { name: 'web', command: ['x'] };
    expect(() => resolve({ service: [web, web] })).toThrow(/declared twice/);
  });

  it('turns host and port into a multiaddr', () => {
    expect(listenAddress('0.0.0.0:7700')).toBe('/ip4/0.0.0.0/tcp/7700');
    expect(listenAddress('[::1]:80')).toBe('/ip6/::1/tcp/80');
  });

  it('suggests only what is close', () => {
    expect(closest('lisen', ['listen', 'mode'])).toBe('listen');
    expect(closest('zzz', ['listen', 'mode'])).toBeUndefined();
  });
});

describe('the state directory', () => {
  it('is private', () => {
    expect(statSync(temporary().path).mode & 0o777).toBe(0o700);
  });

  it('reads TOML, says line and column of an error, and takes no file for an empty one', () => {
    const directory = temporary();
    expect(readConfigFile(directory.configFile, false)).toEqual({});
    expect(() => readConfigFile(directory.configFile, true)).toThrow(KalosError);
    writeFileSync(directory.configFile, 'mode = "act"\nname = ');
    expect(() => readConfigFile(directory.configFile, false)).toThrow(/2/);
  });
});
