// A configuration that is read again: what comes into force, what waits for a restart, and what an error changes: nothing.
import { describe, expect, it } from 'vitest';
import type { Agent } from '../../node/agent.ts';
import { Configuration } from '../../node/reload.ts';

function world(document: Record<string, unknown>) {
  let read = document;
  const applied: string[] = [];
  const agent: Pick<Agent, 'reconfigure'> = {
    reconfigure: async ({ mode }, what) => void applied.push(`${mode}: ${what}`),
  };
  const configuration = new Configuration(() => [{ origin: 'kalos.toml', document: read }]);
  const reload = (fresh: Record<string, unknown>) => {
    read = fresh;
    return configuration.reload(agent);
  };
  return { configuration, reload, applied };
}
const policy = (name: string, when = 'true') => ({ name, when, summary: name });

describe('a configuration that is read again', () => {
  it('without changes changes nothing', async () => {
    const { reload, applied } = world({ mode: 'act' });
    expect(await reload({ mode: 'act' })).toEqual({ taken: true, lines: ['the configuration was read again: no changes'] });
    expect(applied).toEqual([]);
  });

  it('brings into force what can change, and lists what needs a restart', async () => {
    const { configuration, reload, applied } = world({ mode: 'observe', name: 'ada' });
    const { taken, lines } = await reload({ mode: 'act', name: 'bob' });
    expect([taken, lines]).toEqual([
      true,
      ['in force: mode: "observe" → "act"', 'needs a restart of the agent: name: "ada" → "bob"'],
    ]);
    expect(applied).toEqual(['act: in force: mode: "observe" → "act"']);
    expect(configuration.inForce).toMatchObject({ mode: 'act', name: 'ada' });
    // What waits is said again as long as it waits.
    expect((await reload({ mode: 'act', name: 'bob' })).lines).toEqual(['needs a restart of the agent: name: "ada" → "bob"']);
    expect((await reload({ mode: 'act', name: 'ada' })).lines).toEqual(['the configuration was read again: no changes']);
    expect((await reload({ mode: 'act' })).lines).toEqual(['needs a restart of the agent: name: "ada" → unset']);
  });

  it('says of lists what came, went and changed, by name, or that their order is another', async () => {
    const { reload, applied } = world({ policy: [policy('a'), policy('b'), policy('c')] });
    expect((await reload({ policy: [policy('d'), policy('b', 'false'), policy('c')] })).lines).toEqual([
      'in force: policy: d added, a removed, b changed',
    ]);
    expect((await reload({ policy: [policy('c'), policy('b', 'false'), policy('d')] })).lines).toEqual([
      'in force: policy: order changed',
    ]);
    expect(applied.length).toBe(2);
  });

  it('with an error stays as it was', async () => {
    const { configuration, reload, applied } = world({ mode: 'observe' });
    const { taken, lines } = await reload({ mode: 'actt' });
    expect(taken).toBe(false);
    expect(lines[0]).toMatch(
      /^the configuration is invalid, the old one stays in force: .*mode = "actt": must be "observe" or "advise" or "act"/,
    );
    expect([configuration.inForce.mode, applied]).toEqual(['observe', []]);
    expect(() => world({ mode: 'actt' })).toThrow('mode');
  });

  it('does not hide what went wrong otherwise', async () => {
    let mode = 'observe';
    const configuration = new Configuration(() => [{ origin: 'kalos.toml', document: { mode } }]);
    mode = 'act';
    await expect(configuration.reload({ reconfigure: () => Promise.reject(new Error('no disk')) })).rejects.toThrow('no disk');
    expect(configuration.inForce.mode).toBe('observe');
  });
});
