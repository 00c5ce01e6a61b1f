// The page of an agent in a real browser: headless Chromium, where there is one.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
const port = await freePort();
const swarm = new RealSwarm({ KALOS_API_LISTEN: `127.0.0.1:${port}` });
const SERVICE = `mode = "act"
[[service]]
name = "idle"
command = ["/bin/sleep", "1000"]
`;
const profile = mkdtempSync(join(tmpdir(), 'kalos-page-'));

/** What the page holds after it was open for some seconds. */
function opened(path = '/'): Promise<string> {
  const flags = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${profile}`,
    '--virtual-time-budget=8000',
    '--dump-dom',
  ];
  return new Promise((resolve, reject) =>
    execFile(
      CHROMIUM ?? '',
      [...flags, `http://127.0.0.1:${port}${path}`],
      { maxBuffer: 2 ** 24, timeout: patient(50_000) },
      (error, out) => (error === null || out !== '' ? resolve(out) : reject(error)),
    ),
  );
}

describe.runIf(CHROMIUM !== undefined)('the page, in Chromium', () => {
  beforeAll(async () => {
    await swarm.start('one', '');
    await swarm.start('two', SERVICE);
    await eventually(
      'both to be seen',
      async () =>
        (await swarm.rows(swarm.agents[0] as never, "select node from nodes where state = 'alive'")).length === 2 || undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 3_000));
  });
  afterAll(async () => {
    await swarm.stop();
    rmSync(profile, { recursive: true, force: true });
  });

  it('shows the swarm, the machine by the second, the timeline, and what was asked', async () => {
    const page = await opened();
    expect(page).toMatch(/<span id="who">one \d+\.\d+\.\d+, swarm [0-9a-f]{8}<\/span>/);
    expect(page.match(/<circle [^>]*class="alive/g)?.length).toBe(2);
    expect(page).toMatch(/<table id="members">[\s\S]*<td>one<\/td><td class="alive"[\s\S]*<td>two<\/td>/);
    expect(page.match(/<polyline points="[\d., -]+"/g)?.length).toBe(8);
    expect(page).toContain('Nothing was wrong yet.');
    expect(page).toMatch(/2 rows, from this agent’s own state/);
    expect(page.match(/<option value="select/g)?.length).toBeGreaterThanOrEqual(25);
    expect(page).toMatch(/<form id="login" hidden/);
  });

  it('tells of what was wrong on any machine, and who is asked tells why', async () => {
    const two = swarm.agents[1] as RealAgent;
    const [row] = await swarm.rows(two, "select pid from services where name = 'idle'");
    process.kill(Number(row?.pid), 'SIGKILL');
    await eventually(
      'it to be repaired',
      async () => (await swarm.rows(two, "select id from incidents where outcome <> ''"))[0]?.id,
    );
    const page = await opened();
    expect(page).toMatch(/<details data-id="inc-[0-9a-f]{10}"><summary>[^<]*<b>idle on two<\/b> [^<]*helped/);
    const [, id] = page.match(/data-id="(inc-[0-9a-f]{10})"/) ?? [];
    const explained = await (await fetch(`http://127.0.0.1:${port}/v1/incidents/${id}/explanation`)).json();
    expect(explained).toMatchObject({ source: 'remote', incident: { steps: expect.arrayContaining([]) } });
  });
});
