// A real service that leaks, and one that forks: beyond their declared bounds they are restarted, by a real agent.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AS_AGENT, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-bounds-'));
const [leak, forks] = [join(place, 'leak'), join(place, 'forks')];
const swarm = new RealSwarm();
let agent: RealAgent;

/** Each does wrong once: a marker that it makes first says that it did. */
const LEAK = `const fs = require('fs'); if (!fs.existsSync('${leak}')) { fs.writeFileSync('${leak}', ''); const kept = []; setInterval(() => kept.push(Buffer.alloc(4e6, 1)), 100); } else setInterval(() => {}, 1e6);`;
const FORKS = `if [ ! -e ${forks} ]; then touch ${forks}; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 600 & done; fi; wait; exec sleep 600`;
const CONFIG = `
mode = "act"
[[service]]
name = "leaky"
${AS_AGENT}command = ["${process.execPath}", "${join(place, 'leak.cjs')}"]
bounds = { memory_bytes = 200000000 }
[[service]]
name = "forking"
${AS_AGENT}command = ["sh", "-c", "${FORKS}"]
bounds = { processes = 5 }
`;

beforeAll(async () => {
  writeFileSync(join(place, 'leak.cjs'), LEAK);
  agent = await swarm.start('solo', CONFIG);
});
afterAll(async () => {
  await swarm.stop();
  rmSync(place, { recursive: true, force: true });
});

describe('a service beyond its bounds', () => {
  it.each(['leaky', 'forking'])('%s is restarted once, and is well then', async (name) => {
    const [row] = await eventually(
      'the incident to be over',
      async () => {
        const rows = await swarm.rows(agent, `select outcome from incidents where target = '${name}' and outcome != ''`);
        return rows.length > 0 ? rows : undefined;
      },
      60_000,
    );
    expect(row?.outcome).toBe('service.restart helped');
    const [service] = await swarm.rows(agent, `select starts, state from services where name = '${name}'`);
    expect(service).toEqual({ starts: 2, state: 'running' });
    expect(existsSync(name === 'leaky' ? leak : forks)).toBe(true);
  });
});
