// An agent in little, to be killed: arms a change that cuts the network, makes it, says so, and waits.
// usage: node armed-client.ts SOCKET ID ADDRESS
import { dirname, join } from 'node:path';
import { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';

const [socket = '', id = '', address = ''] = process.argv.slice(2);
const logs = join(dirname(socket), 'services');
const client = await ActuatorClient.open({ socket, own: undefined, logs, services: [], log: () => undefined });
const armed = await client.arm(id, 120_000, [{ do: ['net.block', address], undo: ['net.unblock', address] }]);
const applied = armed.ok ? await client.apply(id, 0) : armed;
process.stdout.write(applied.ok ? 'applied\n' : `${applied.message}\n`);
