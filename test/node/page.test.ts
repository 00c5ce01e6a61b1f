// The page of an agent in a real browser: headless Chromium, where there is one.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RealAgent, RealSwarm } from '../support/agents.ts';
import { Browser, CHROMIUM } from '../support/browser.ts';
import { eventually } from '../support/clock.ts';

const port = await freePort();
const swarm = new RealSwarm({ KALOS_API_LISTEN: `127.0.0.1:${port}` });
const SERVICE = `mode = "act"
[[service]]
name = "idle"
command = ["/bin/sleep", "1000"]
`;
const profile = mkdtempSync(join(tmpdir(), 'kalos-page-'));

let browser: Browser;

/** What the page holds once all of something is in it. */
async function opened(...until: RegExp[]): Promise<string> {
  await browser.visit(`http://127.0.0.1:${port}/`);
  return eventually(`the page to hold ${until.join(' and ')}`, async () => {
    const text = await browser.value<string>('document.documentElement.outerHTML');
    return until.every((one) => one.test(text)) ? text : undefined;
  });
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
    browser = await Browser.open(profile);
  });
  afterAll(async () => {
    await browser?.close();
    await swarm.stop();
    rmSync(profile, { recursive: true, force: true });
  });

  it('shows the swarm, the machine by the second, the timeline, and what was asked', async () => {
    const page = await opened(/2 rows, from/, /No incidents yet/, /(<polyline points="[\d., -]+"[\s\S]*?){8}/);
    expect(page).toMatch(/<span id="who">one \d+\.\d+\.\d+, swarm [0-9a-f]{8}<\/span>/);
    expect(page.match(/<circle [^>]*class="alive/g)?.length).toBe(2);
    expect(page).toMatch(/<table id="members">[\s\S]*<td>one<\/td><td class="alive"[\s\S]*<td>two<\/td>/);
    expect(page.match(/<polyline points="[\d., -]+"/g)?.length).toBe(8);
    expect(page).toContain('No incidents yet.');
    expect(page).toMatch(/2 rows, from this agent’s own data/);
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
    const page = await opened(/helped/);
    expect(page).toMatch(/<details data-id="inc-[0-9a-f]{10}"><summary>[^<]*<b>idle on two<\/b> [^<]*helped/);
    const [, id] = page.match(/data-id="(inc-[0-9a-f]{10})"/) ?? [];
    const explained = await (await fetch(`http://127.0.0.1:${port}/v1/incidents/${id}/explanation`)).json();
    expect(explained).toMatchObject({ source: 'remote', incident: { steps: expect.arrayContaining([]) } });
  });

  it('says in words that its agent does not answer, greys what is of before, and goes on by itself; its icon obeys its policy', async () => {
    const one = swarm.agents[0] as RealAgent;
    const shown = (): Promise<[words: string | null, title: string, opacity: string]> =>
      browser.value(
        "[document.querySelector('#silent').hidden ? null : document.querySelector('#silent').innerText, document.title, getComputedStyle(document.querySelector('main')).opacity]",
      );
    const picture = async (name: string): Promise<void> => {
      const place = process.env.KALOS_TEST_PICTURES;
      if (place !== undefined) writeFileSync(join(place, `${name}.png`), await browser.picture());
    };
    await browser.visit(`http://127.0.0.1:${port}/`);
    await eventually('it to show the agent', async () => /KALOS one$/.test((await shown())[1]) || undefined);
    expect(await shown()).toEqual([null, expect.stringMatching(/^(● )?KALOS one$/), '1']);
    const summary = "document.querySelector('#incidents summary')";
    await eventually('the incident', async () => (await browser.value<boolean>(`${summary} !== null`)) || undefined);
    await browser.value(`globalThis.focused = ${summary}; focused.focus(); globalThis.before = focused.firstChild; 0`);
    await picture('alive');
    for (const width of [1200, 400, 320]) {
      await browser.resize(width, 800);
      const wide = `[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > ${width} && !one.closest('.scroll *')).map((one) => one.outerHTML.slice(0, 80))`;
      const over = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
      expect([await browser.value(over), await browser.value(wide)]).toEqual([0, []]);
      await picture(`alive-${width}`);
    }
    await browser.resize(1200, 800);
    await eventually(
      'the timeline to be shown again',
      async () => (await browser.value<boolean>(`${summary}.firstChild !== globalThis.before`)) || undefined,
    );
    expect(await browser.value('document.activeElement === globalThis.focused')).toBe(true);
    process.kill(one.process.pid ?? 0, 'SIGSTOP');
    const [words, title, opacity] = await eventually('it to say so', async () => {
      const now = await shown();
      return now[0] === null ? undefined : now;
    });
    expect(words).toMatch(/^This agent has not answered since .*\d:\d\d/);
    expect([title, Number(opacity) < 0.6]).toEqual(['No answer: KALOS one', true]);
    await picture('silent');
    await browser.resize(400, 800);
    await picture('silent-400');
    const ended = new Promise((resolve) => one.process.once('exit', resolve));
    process.kill(one.process.pid ?? 0, 'SIGKILL');
    await ended;
    expect((await shown())[0]).toBe(words);
    const complaints = browser.complaints.filter((one) => !/ERR_(CONNECTION|EMPTY|SOCKET)/.test(one));
    expect(complaints).toEqual([]);
    await swarm.start('one', '', one);
    await eventually('it to go on', async () => (await shown())[0] === null || undefined);
    expect(await shown()).toEqual([null, expect.stringMatching(/^(● )?KALOS one$/), '1']);
  });
});
