// systemd as the other backend of service.*: what systemctl of systemd 252 printed, recorded; and the whole way with a
// stand-in for systemctl that prints it.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import { parseShow } from '../../node/action/adapters/systemd-units.ts';
import { changeToolOf } from '../../node/action/tools.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { eventually } from '../support/clock.ts';

const RUNNING = `MainPID=86
Result=success
NRestarts=0
ExecMainCode=0
ExecMainStatus=0
Id=web.service
LoadState=loaded
ActiveState=active
SubState=running
StateChangeTimestamp=@1795257155
StateChangeTimestampMonotonic=5787056614
`;
const FAILED = `MainPID=0
Result=exit-code
NRestarts=0
ExecMainCode=1
ExecMainStatus=1
Id=bad.service
LoadState=loaded
ActiveState=failed
SubState=failed
StateChangeTimestamp=@1795257154
StateChangeTimestampMonotonic=5786151371
`;
const KILLED = `MainPID=0
Result=signal
NRestarts=0
ExecMainCode=2
ExecMainStatus=9
Id=web.service
LoadState=loaded
ActiveState=failed
SubState=failed
StateChangeTimestamp=@1795257155
StateChangeTimestampMonotonic=5786718782
`;
const STOPPED = `MainPID=0
Result=success
NRestarts=0
ExecMainCode=0
ExecMainStatus=0
Id=web.service
LoadState=loaded
ActiveState=inactive
SubState=dead
StateChangeTimestamp=
StateChangeTimestampMonotonic=0
`;
const MISSING = `MainPID=0
Result=success
NRestarts=0
ExecMainCode=0
ExecMainStatus=0
Id=nosuch.service
LoadState=not-found
ActiveState=inactive
SubState=dead
StateChangeTimestamp=
StateChangeTimestampMonotonic=0
`;

const tests: TestActuator[] = [];
afterEach(async () => {
  for (const test of tests.splice(0)) await test.stop();
});
beforeAll(buildSanitized, 120_000);

describe('what systemctl prints', () => {
  it('is read unit by unit', () => {
    const units = parseShow(`${RUNNING}\n${FAILED}\n${MISSING}`);
    expect([...units.keys()]).toEqual(['web.service', 'bad.service']);
    expect(units.get('web.service')).toMatchObject({ state: 'running', pid: 86, sinceMs: 1_795_257_155_000, onPurpose: false });
    expect(units.get('bad.service')).toMatchObject({ state: 'exited', exitCode: 1, signal: undefined });
  });

  it('tells a killed unit from a stopped one', () => {
    expect(parseShow(KILLED).get('web.service')).toMatchObject({ state: 'exited', exitCode: undefined, signal: 9 });
    expect(parseShow(STOPPED).get('web.service')).toMatchObject({ state: 'stopped', onPurpose: true });
    expect(parseShow('').size).toBe(0);
  });
});

describe('a service that is a unit', () => {
  it('is seen through systemctl, and acted on by the actuator with a fixed command line, where its policy says so', async () => {
    const test = new TestActuator();
    tests.push(test);
    const [told, shown, systemctl] = ['told', 'shown', 'systemctl'].map((name) => join(test.directory, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(shown, RUNNING);
    writeFileSync(
      systemctl,
      `#!/bin/sh\n[ "$1" = show ] && exec cat ${shown}\necho "$@" >> ${told}\ncase "$3" in stop) cp ${shown}.stopped ${shown};; esac\n`,
    );
    writeFileSync(`${shown}.stopped`, STOPPED);
    chmodSync(systemctl, 0o755);
    await test.start({ policy: 'allow unit web.service\n', arguments: ['--systemctl', systemctl] });
    const services = [
      { name: 'web', command: [], unit: 'web.service' },
      { name: 'ssh', command: [], unit: 'sshd.service' },
    ];
    const logs = join(test.state, 'services');
    const client = await ActuatorClient.open({
      socket: test.socket,
      own: undefined,
      logs,
      services,
      systemctl,
      log: () => undefined,
    });
    const exits: string[] = [];
    client.onExit((name) => exits.push(name));
    expect(client.services()).toMatchObject([
      { name: 'web', state: 'running', pid: 86, unit: 'web.service' },
      { name: 'ssh', state: 'stopped' },
    ]);

    const stop = { tool: 'service.stop', service: 'web' };
    const look = await changeToolOf(stop).look(stop, { actuator: client } as never);
    const steps = look.ok ? changeToolOf(stop).steps(stop, look.before) : [];
    expect(steps).toEqual([{ do: ['unit', 'stop', 'web.service'], undo: ['unit', 'start', 'web.service'] }]);
    await client.arm('stop', 60_000, steps);
    expect(await client.apply('stop', 0)).toEqual({ ok: true });
    expect(client.services()[0]).toMatchObject({ state: 'stopped', onPurpose: true });
    await client.confirm('stop');
    expect(readFileSync(told, 'utf8')).toBe('--no-ask-password --quiet stop -- web.service\n');

    expect(await client.check([{ do: ['unit', 'restart', 'sshd.service'], undo: undefined }])).toMatchObject({
      ok: false,
      code: 'refused',
    });
    expect(await client.check([{ do: ['unit', 'restart', 'other.service'], undo: undefined }])).toMatchObject({
      ok: false,
      code: 'refused',
    });

    writeFileSync(shown, RUNNING);
    await eventually('it to be seen running', () => client.services()[0]?.state === 'running' || undefined);
    writeFileSync(shown, KILLED);
    await eventually('its end to be told', () => exits[0]);
    expect(client.services()[0]).toMatchObject({ state: 'exited', exitSignal: 'SIGKILL' });
    await client.close();
  });
});
