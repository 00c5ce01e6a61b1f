// The faults of scenarios that can be injected for real, into processes and namespaces that the run created.
import { rmSync, writeFileSync } from 'node:fs';
import type { FaultKind } from '../../scenario/faults.ts';
import { pause, type RealMachine, type RealMachines } from './machines.ts';

export interface RealPlace {
  machines: RealMachines;
  on: readonly RealMachine[];
  forMs: number;
  args: Readonly<Record<string, unknown>>;
}

type End = () => Promise<void>;
type RealFault = (place: RealPlace) => Promise<End | undefined>;

const others = ({ machines, on }: RealPlace): RealMachine[] => machines.all.filter((machine) => !on.includes(machine));

/** Starts an agent again from its own disk: it knows the swarm. */
const startAll = async (on: readonly RealMachine[]): Promise<void> => {
  await Promise.all(on.map((machine) => machine.start(undefined)));
};

/** Machines of the first list receive nothing from those of the second. */
async function cut(to: readonly RealMachine[], from: readonly RealMachine[]): Promise<End> {
  const pairs = to.flatMap((a) => from.filter((b) => b !== a).map((b) => [a, b] as const));
  for (const [a, b] of pairs) await a.cut(b);
  return async () => {
    for (const [a, b] of pairs) await a.mend(b);
  };
}

async function partition(place: RealPlace): Promise<End> {
  const ends = [await cut(place.on, others(place)), await cut(others(place), place.on)];
  return async () => {
    for (const end of ends) await end();
  };
}

const signalService =
  (signal: 'SIGKILL' | 'SIGSTOP'): RealFault =>
  async ({ on, args }) => {
    for (const machine of on) {
      machine.touched.add(String(args.service));
      const pid = await machine.servicePid(String(args.service));
      if (pid !== undefined) process.kill(pid, signal);
    }
    return undefined;
  };

const curse: RealFault = async (place) => {
  const service = String(place.args.service);
  for (const machine of place.on) writeFileSync(machine.control(service), String(place.args.lives_ms ?? 200));
  await signalService('SIGKILL')(place);
  return async () => {
    for (const machine of place.on) rmSync(machine.control(service), { force: true });
  };
};

export const REAL_FAULTS: Partial<Record<FaultKind, RealFault>> = {
  crash: async ({ on }) => {
    for (const machine of on) machine.crash();
    return () => startAll(on);
  },
  pause: async ({ on }) => {
    for (const machine of on) machine.signal('SIGSTOP');
    return async () => {
      for (const machine of on) machine.signal('SIGCONT');
    };
  },
  leave: async ({ on }) => {
    for (const machine of on) {
      const status = await machine.status();
      for (const { name } of status?.services ?? []) machine.touched.add(name); // they end with it
      await machine.leave();
    }
    return () => startAll(on);
  },
  'power-cut': async ({ on }) => {
    for (const machine of on) {
      await machine.link(false);
      machine.crash();
    }
    return async () => {
      for (const machine of on) await machine.link(true);
      await startAll(on);
    };
  },
  partition,
  'one-way': (place) => (place.args.direction === 'in' ? cut(place.on, others(place)) : cut(others(place), place.on)),
  partial: (place) => cut(place.on, place.on),
  flap: async (place) => {
    const periodMs = Number(place.args.period_ms ?? 1_500);
    let over = false;
    const turning = (async () => {
      while (!over) {
        const heal = await partition(place);
        await pause(periodMs);
        await heal();
        if (!over) await pause(periodMs);
      }
    })();
    return async () => {
      over = true;
      await turning;
    };
  },
  loss: async ({ machines, args }) => {
    const perMille = Math.round(Number(args.probability ?? 0.1) * 1_000);
    for (const machine of machines.all) await machine.nft(`add rule inet kalos loss numgen random mod 1000 < ${perMille} drop`);
    return async () => {
      for (const machine of machines.all) await machine.nft('flush', 'chain', 'inet', 'kalos', 'loss');
    };
  },
  'service-kill': signalService('SIGKILL'),
  'service-freeze': signalService('SIGSTOP'),
  'service-curse': curse,
  'bad-roll-out': async (place) => {
    const ends: (End | undefined)[] = [];
    for (const machine of place.on) {
      ends.push(await curse({ ...place, on: [machine] }));
      await pause(Number(place.args.step_ms ?? 2_000));
    }
    return async () => {
      for (const end of ends) await end?.();
    };
  },
};
