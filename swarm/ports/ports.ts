// Everything an agent reaches the world through. `node/main.ts` fills it with reality, `sim/cluster.ts` with simulation.
import type { Actuator } from './actuator.ts';
import type { Clock } from './clock.ts';
import type { Compute } from './compute.ts';
import type { Crypto } from './crypto.ts';
import type { Random } from './random.ts';
import type { Releases } from './releases.ts';
import type { Sensors } from './sensors.ts';
import type { Store } from './store.ts';
import type { Transport } from './transport.ts';

export interface Ports {
  clock: Clock;
  random: Random;
  transport: Transport;
  store: Store;
  sensors: Sensors;
  actuator: Actuator;
  compute: Compute;
  crypto: Crypto;
  releases: Releases;
}
