// systemd as the other backend of service.*: what systemctl of systemd 252 printed, recorded; and the whole way with a
// stand-in for systemctl that prints it.
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import { parseShow } from '../../node/action/adapters/systemd-units.ts';
import { changeToolOf } from '../../node/action/tools.ts';
import { type ServiceSample, whyDown } from '../../node/ports/actuator.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { eventually } from '../support/clock.ts';
import { PlainStore } from '../support/store.ts';

/** As systemd 252 printed it, but for what the test says otherwise. */
const show = (changed: Record<string, string | number>): string =>
  Object.entries({
    ...{
      MainPID: 0,
      NRestarts: 0,
      ExecMainCode: 0,
      ExecMainStatus: 0,
      Id: 'web.service',
      Names: 'web.service',
      LoadState: 'loaded',
    },
    ...{ ActiveState: 'inactive', SubState: 'dead', InvocationID: '', StateChangeTimestampMonotonic: 0, ...changed },
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');

const RUN = 'a6d0a7b2c4e94dbd8f4fb3cbe1ad0001';
const RUNNING = show({
  MainPID: 86,
  ActiveState: 'active',
  SubState: 'running',
  InvocationID: RUN,
  StateChangeTimestampMonotonic: 5_787_056_614,
});
const FAILED = show({
  ExecMainCode: 1,
  ExecMainStatus: 1,
  Id: 'bad.service',
  Names: 'bad.service',
  ActiveState: 'failed',
  SubState: 'failed',
});
const KILLED = show({ ExecMainCode: 2, ExecMainStatus: 9, ActiveState: 'failed', SubState: 'failed', InvocationID: RUN });
const STOPPED = show({ InvocationID: RUN });
const FAILED_STOP = show({ ExecMainCode: 1, ExecMainStatus: 143, ActiveState: 'failed', SubState: 'failed', InvocationID: RUN });
const OTHER_RUN = 'a6d0a7b2c4e94dbd8f4fb3cbe1ad0002';
const MISSING = show({ Id: 'nosuch.service', Names: 'nosuch.service', LoadState: 'not-found' });

const tests: TestActuator[] = [];
afterEach(async () => {
  for (const test of tests.splice(0)) await test.stop();
});
beforeAll(buildSanitized);

describe('what systemctl prints', () => {
  it('is read unit by unit, by each of its names', () => {
    const units = parseShow(
      `${RUNNING}\n${FAILED}\n${MISSING}\n${show({ Id: 'mariadb.service', Names: 'mysql.service mariadb.service' })}`,
    );
    expect([...units.keys()]).toEqual(['web.service', 'bad.service', 'nosuch.service', 'mariadb.service', 'mysql.service']);
    expect(units.get('web.service')).toMatchObject({ state: 'running', pid: 86, sinceMonotonicMs: 5_787_056.614 });
    expect(units.get('bad.service')).toMatchObject({ state: 'exited', exitCode: 1, signal: undefined });
    expect(parseShow(KILLED).get('web.service')).toMatchObject({ state: 'exited', exitCode: undefined, signal: 9 });
    expect(parseShow('').size).toBe(0);
  });

  it.each([
    ['active', { ActiveState: 'active' }, 'running', 'active'],
    ['reloading', { ActiveState: 'reloading' }, 'running', 'reloading'],
    ['its file is gone, and it runs', { ActiveState: 'active', LoadState: 'not-found' }, 'running', 'active'],
    ['masked, and it runs', { ActiveState: 'active', LoadState: 'masked' }, 'running', 'active'],
    ['inactive', {}, 'stopped', 'inactive'],
    ['masked', { LoadState: 'masked' }, 'stopped', 'masked'],
    ['not installed', { LoadState: 'not-found' }, 'stopped', 'not-found'],
    ['with a file that is wrong', { LoadState: 'bad-setting' }, 'stopped', 'bad-setting'],
    ['starting', { ActiveState: 'activating', SubState: 'start-pre' }, 'stopped', 'activating'],
    ['between two starts', { ActiveState: 'activating', SubState: 'auto-restart' }, 'stopped', 'auto-restart'],
    ['stopping', { ActiveState: 'deactivating', SubState: 'stop-sigterm' }, 'stopped', 'deactivating'],
    ['being cleaned', { ActiveState: 'maintenance' }, 'stopped', 'maintenance'],
    ['failed', { ActiveState: 'failed' }, 'exited', 'failed'],
    ['of a state that is not known here', { ActiveState: 'new' }, 'stopped', 'new'],
  ])('of a unit that is %s', (_what, changed, state, unitState) => {
    expect(parseShow(show(changed)).get('web.service')).toMatchObject({ state, unitState });
  });
});

/** A stand-in for systemctl that prints a file, and what is asked of it otherwise. */
class Systemd {
  readonly program: string;
  readonly #shown: string;
  readonly #told: string;

  constructor(directory: string) {
    this.program = join(directory, 'systemctl');
    this.#shown = join(directory, 'shown');
    this.#told = join(directory, 'told');
    const show = `[ "$1" = show ] && { [ -f ${this.#shown} ] && exec cat ${this.#shown}; exit 1; }`;
    writeFileSync(
      this.program,
      `#!/bin/sh\n${show}\necho "$@" >> ${this.#told}\n[ ! -f ${this.#shown}.$3 ] || cp ${this.#shown}.$3 ${this.#shown}\n`,
    );
    chmodSync(this.program, 0o755);
  }

  /** From now on it shows this; after a verb, another. */
  shows(text: string, after: Record<string, string> = {}): void {
    writeFileSync(`${this.#shown}.new`, text);
    renameSync(`${this.#shown}.new`, this.#shown);
    for (const [verb, then] of Object.entries(after)) writeFileSync(`${this.#shown}.${verb}`, then);
  }

  told(): string {
    return readFileSync(this.#told, 'utf8');
  }
}

const SERVICES = [
  { name: 'web', command: [], unit: 'web.service' },
  { name: 'ssh', command: [], unit: 'sshd.service' },
];

async function make(store = new PlainStore()) {
  const test = new TestActuator();
  tests.push(test);
  const systemd = new Systemd(test.directory);
  await test.start({ policy: 'allow unit web.service\n', arguments: ['--systemctl', systemd.program] });
  const logs = join(test.state, 'services');
  const client = () =>
    ActuatorClient.open({
      ...{ socket: test.socket, own: undefined, logs, services: SERVICES },
      ...{ systemctl: systemd.program, store, log: () => undefined },
    });
  return { systemd, client };
}

const webOf = (client: ActuatorClient): ServiceSample => client.services()[0] ?? expect.fail('no service');
const shown = (client: ActuatorClient) => {
  const web = webOf(client);
  return [web.state, web.onPurpose, web.byPolicy, whyDown(web)];
};

/** As the executor does it. */
async function stopped(client: ActuatorClient, id: string, byPerson?: boolean): Promise<void> {
  const call = { tool: 'service.stop', service: 'web' };
  const look = await changeToolOf(call).look(call, { actuator: client } as never);
  if (!look.ok) throw new Error(look.reason);
  expect(changeToolOf(call).refusal?.(call, look.before)).toBeUndefined();
  await client.arm(id, 60_000, changeToolOf(call).steps(call, look.before));
  expect(await client.apply(id, 0)).toEqual({ ok: true });
  expect(shown(client)).toEqual(['stopped', true, false, 'stopped by a person']); // nobody is to start it meanwhile
  await client.confirm(id, byPerson);
}

describe('a service that is a unit', () => {
  it('is seen through systemctl, and acted on by the actuator with a fixed command line, where its policy says so', async () => {
    const { systemd, client: open } = await make();
    systemd.shows(RUNNING, { stop: STOPPED });
    const client = await open();
    const exits: string[] = [];
    client.onExit((name) => exits.push(name));
    expect(client.services()).toMatchObject([
      { name: 'web', state: 'running', pid: 86, unit: 'web.service' },
      { name: 'ssh', state: 'stopped', unitState: 'unknown' },
    ]);
    const since = webOf(client).sinceMs;
    expect(Math.abs(since - (Date.now() - Number(process.hrtime.bigint()) / 1e6 + 5_787_056.614))).toBeLessThan(1_000);

    const stop = { tool: 'service.stop', service: 'web' };
    const look = await changeToolOf(stop).look(stop, { actuator: client } as never);
    expect(look.ok ? changeToolOf(stop).steps(stop, look.before) : []).toEqual([
      { do: ['unit', 'stop', 'web.service'], undo: ['unit', 'start', 'web.service'] },
    ]);
    await stopped(client, 'stop');
    expect(systemd.told()).toBe('--no-ask-password --quiet stop -- web.service\n');

    for (const unit of ['sshd.service', 'other.service'])
      expect(await client.check([{ do: ['unit', 'restart', unit], undo: undefined }])).toMatchObject({
        ok: false,
        code: 'refused',
      });

    systemd.shows(RUNNING);
    await eventually('it to be seen running', () => webOf(client).state === 'running' || undefined);
    systemd.shows(KILLED);
    await eventually('its end to be told', () => exits[0]);
    expect(webOf(client)).toMatchObject({ state: 'exited', exitSignal: 'SIGKILL' });
    // systemd starts it again before anybody looks.
    exits.length = 0;
    systemd.shows(RUNNING);
    await eventually('it to be seen running', () => webOf(client).state === 'running' || undefined);
    systemd.shows(show({ MainPID: 99, ActiveState: 'active', SubState: 'running', NRestarts: 2 }));
    await eventually('both ends to be told', () => exits.length === 2 || undefined);
    await client.close();
  });

  it('is down on purpose where service.stop stopped it, over restarts, and not where anything else did', async () => {
    const store = new PlainStore();
    const { systemd, client: open } = await make(store);
    systemd.shows(STOPPED);
    const first = await open();
    expect(shown(first)).toEqual(['stopped', false, false, 'inactive in systemd, but not stopped by service.stop']);
    systemd.shows(RUNNING, { stop: FAILED_STOP });
    await eventually('it to be seen running', () => webOf(first).state === 'running' || undefined);
    await stopped(first, 'by-person'); // which it took with status 143: systemd calls that failed
    expect(shown(first)).toEqual(['stopped', true, false, 'stopped by a person']);
    await first.close();

    for (const [what, text, purpose] of [
      ['it is still down', FAILED_STOP, true],
      ['the machine was started again', show({}), true],
      ['somebody started and stopped it meanwhile', show({ InvocationID: OTHER_RUN }), false],
      ['and so it stays', show({}), false],
    ] as const) {
      systemd.shows(text);
      const next = await open();
      expect([what, ...shown(next).slice(0, 2)]).toEqual([what, 'stopped', purpose]);
      await eventually('it to be kept', () => store.content.size === (purpose ? 1 : 0) || undefined);
      await next.close();
    }
  });

  it('is reported where a policy stopped it, and where a stop was taken back; a person may have it stay down', async () => {
    const { systemd, client: open } = await make();
    systemd.shows(RUNNING, { stop: STOPPED, start: RUNNING });
    const client = await open();
    await stopped(client, 'by-policy', false);
    await eventually('a look', () => webOf(client).byPolicy || undefined);
    expect(shown(client)).toEqual(['stopped', false, true, 'stopped by a policy']);
    await stopped(client, 'by-person');
    await eventually('a look', () => !webOf(client).byPolicy || undefined);
    expect(shown(client)).toEqual(['stopped', true, false, 'stopped by a person']);
    systemd.shows(RUNNING);
    await eventually('it to be seen running', () => webOf(client).state === 'running' || undefined);
    await client.arm('undone', 60_000, [{ do: ['unit', 'stop', 'web.service'], undo: ['unit', 'start', 'web.service'] }]);
    await client.apply('undone', 0);
    await client.undo('undone', 'a test');
    systemd.shows(STOPPED); // and by somebody else
    await eventually('a look', () => (webOf(client).state === 'stopped' && !webOf(client).onPurpose) || undefined);
    await client.close();
  });
});
