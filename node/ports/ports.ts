// All ports of an agent. `node/main.ts` provides real ones, `sim/cluster.ts` simulated ones.

import type { Clock } from '../../swarm/ports/clock.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Random } from '../../swarm/ports/random.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { Transport } from '../../swarm/ports/transport.ts';
import type { Actuator } from './actuator.ts';
import type { Compute } from './compute.ts';
import type { Releases } from './releases.ts';
import type { Sensors } from './sensors.ts';

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
