// Files that are taken away together: hidden by renaming, so that it works where a file system has neither space nor inodes.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';

const test = new TestActuator();
const data = join(test.directory, 'data');
let client: ActuatorClient;
beforeAll(async () => {
  buildSanitized();
  mkdirSync(data);
  await test.start({ policy: `allow path ${data}\n` });
  client = await test.client();
});
afterAll(() => test.stop());

describe('files that are hidden together', () => {
  it('come back under their names where the change is undone, and are gone once it is confirmed', async () => {
    const names = ['a.tmp', 'b.tmp'];
    for (const name of names) writeFileSync(join(data, name), name);
    const steps = [{ do: ['files.hide', data, names] as const, undo: ['files.show', data, names] as const }];
    await client.arm('hide-1', 60_000, steps);
    expect(await client.apply('hide-1', 0)).toEqual({ ok: true });
    expect(names.some((name) => existsSync(join(data, name)))).toBe(false);
    const listed = await client.read(['file.list', data]);
    expect(JSON.stringify(listed)).not.toContain('.kalos');
    await client.undo('hide-1', 'the test');
    expect(names.map((name) => readFileSync(join(data, name), 'utf8'))).toEqual(names);
    await client.arm('hide-2', 60_000, steps);
    await client.apply('hide-2', 0);
    await client.confirm('hide-2');
    expect(readdirSync(data).filter((name) => name.includes('tmp') || name.startsWith('.kalos'))).toEqual([]);
  });

  it('are never those of another directory', async () => {
    for (const name of ['../escape', 'x/y', '', '.']) {
      const steps = [{ do: ['files.hide', data, [name]] as const, undo: ['files.show', data, [name]] as const }];
      expect(await client.arm(`hide-${name.length}x`, 60_000, steps)).toMatchObject({ ok: false, code: 'refused' });
    }
  });
});
