// Services that systemd runs: what they are like is asked of systemctl, which needs no privileges; what is done to them is
// the actuator's. The properties are those of org.freedesktop.systemd1 (systemctl(1), show), as systemd 219 and newer have them.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Store } from '../../../swarm/ports/store.ts';
import type { ServiceSample, ServiceSpec, ServiceState, Step } from '../../ports/actuator.ts';
import { startTicksOf } from './start-ticks.ts';
import type { UnitLook } from './unit-stops.ts';
import { UnitStops } from './unit-stops.ts';

const LOOK_EVERY_MS = 2_000;
const ANSWER_WITHIN_MS = 5_000;
/** Without an answer for so long it is not known any more how they are. */
const SILENT_MS = 30_000;
const PROPERTIES = [
  'Id',
  'Names',
  'LoadState',
  'ActiveState',
  'SubState',
  'MainPID',
  'ExecMainCode',
  'ExecMainStatus',
  'NRestarts',
  'InvocationID',
  'StateChangeTimestampMonotonic',
] as const;
/** ExecMainCode, as si_code of waitid(2). */
const EXITED = '1';
const MAX_EXITS = 100;

/** @returns for each name of each unit how it is, aliases too: `Id` is one of them, and need not be the one that was asked for. */
export function parseShow(text: string): Map<string, UnitLook> {
  const units = new Map<string, UnitLook>();
  for (const block of text.trim().split('\n\n')) {
    const properties = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
    );
    const names = [properties.get('Id') ?? '', ...(properties.get('Names') ?? '').split(' ')];
    for (const name of names) if (name !== '') units.set(name, lookOf(properties));
  }
  return units;
}

function lookOf(properties: ReadonlyMap<string, string>): UnitLook {
  const number = (key: string): number => Number(properties.get(key) ?? 0);
  const active = properties.get('ActiveState') ?? '';
  const state = stateOf(active);
  const ended = state === 'exited';
  const code = properties.get('ExecMainCode');
  return {
    state,
    unitState: state === 'running' ? active : unitStateOf(active, properties),
    pid: number('MainPID') === 0 ? undefined : number('MainPID'),
    exitCode: ended && code === EXITED ? number('ExecMainStatus') : undefined,
    signal: ended && code !== EXITED ? number('ExecMainStatus') : undefined,
    starts: number('NRestarts') + 1,
    sinceMonotonicMs: number('StateChangeTimestampMonotonic') / 1_000,
    invocation: properties.get('InvocationID') ?? '',
  };
}

/** `failed` ended by itself. What is inactive was stopped, ended well, or was never started: systemd does not say which. */
function stateOf(active: string): ServiceState {
  if (active === 'failed') return 'exited';
  return active === 'active' || active === 'reloading' || active === 'refreshing' ? 'running' : 'stopped';
}

/** In systemd's words; what keeps it from being started goes first. A unit whose file is gone may still run, so this asks last. */
function unitStateOf(active: string, properties: ReadonlyMap<string, string>): string {
  const loaded = properties.get('LoadState') ?? 'loaded';
  if (loaded !== 'loaded') return loaded;
  return properties.get('SubState')?.startsWith('auto-restart') === true ? 'auto-restart' : active;
}

export type UnitChange = Partial<ServiceSample> & { signal: number | undefined };
/** @param exits how often systemd started it again by itself since the last look. */
type Listener = (name: string, change: UnitChange, exits: number) => void;

export interface SystemdUnitsParts {
  systemctl: string;
  services: readonly ServiceSpec[];
  store: Pick<Store, 'range' | 'write'> | undefined;
  /** Told at every look how each service is. */
  changed: Listener;
}

export class SystemdUnits {
  readonly #systemctl: string;
  readonly #services: readonly ServiceSpec[];
  readonly #changed: Listener;
  readonly #timer: NodeJS.Timeout;
  readonly #stops: UnitStops;
  readonly #last = new Map<string, UnitLook & { sinceMs: number; atMs: number }>();
  #begun = 0;
  #taken = 0;

  constructor({ systemctl, services, store, changed }: SystemdUnitsParts) {
    this.#systemctl = systemctl;
    this.#services = services;
    this.#changed = changed;
    this.#stops = new UnitStops(store);
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  /** The first look. */
  async open(): Promise<void> {
    await this.#stops.recall();
    await this.look();
  }

  /** Where systemctl does not answer what was known stands for a while; then it is told that nothing is known. */
  async look(): Promise<void> {
    const units = this.#services.flatMap(({ unit }) => unit ?? []);
    const args = ['show', `--property=${PROPERTIES.join(',')}`, '--', ...units];
    const nth = ++this.#begun;
    const shown = await promisify(execFile)(this.#systemctl, args, { timeout: ANSWER_WITHIN_MS }).catch(() => undefined);
    if (nth < this.#taken) return; // a later look has ended already
    this.#taken = nth;
    const looks = parseShow(shown?.stdout ?? '');
    for (const { name, unit = '', task } of this.#services) {
      const look = looks.get(unit);
      if (look !== undefined) this.#seen(name, unit, task === true ? asTask(look) : look);
      else if (performance.now() - (this.#last.get(unit)?.atMs ?? Number.NEGATIVE_INFINITY) > SILENT_MS)
        this.#changed(name, { unitState: 'unknown', signal: undefined }, 0);
    }
  }

  #seen(name: string, unit: string, look: UnitLook): void {
    const before = this.#last.get(unit);
    const sinceMs = before?.sinceMonotonicMs === look.sinceMonotonicMs ? before.sinceMs : wallOf(look.sinceMonotonicMs);
    this.#last.set(unit, { ...look, sinceMs, atMs: performance.now() });
    const { sinceMonotonicMs, invocation, ...change } = look;
    const by = this.#stops.whose(unit, look);
    // One that was told to stop is stopped, whatever it ended with.
    const state = look.state === 'exited' && by !== undefined ? 'stopped' : look.state;
    const exits = before === undefined ? 0 : Math.min(Math.max(0, look.starts - before.starts), MAX_EXITS);
    const purpose = { onPurpose: by === 'person', byPolicy: by === 'policy' };
    this.#changed(name, { ...change, ...purpose, state, sinceMs, startTicks: look.pid && startTicksOf(look.pid) }, exits);
  }

  armed(id: string, forMs: number, steps: readonly Step[]): void {
    this.#stops.armed(id, performance.now() + forMs, steps);
  }

  /** Kept before the actuator is told: if that fails it starts the unit again, and a unit that runs was not stopped. */
  async confirmed(id: string, byPerson: boolean): Promise<void> {
    const invocationOf = (unit: string): string => this.#last.get(unit)?.invocation ?? '';
    await this.#stops.confirmed(id, byPerson ? 'person' : 'policy', invocationOf);
  }

  undone(id: string): void {
    this.#stops.undone(id);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** A unit of Type=oneshot runs while systemd says that it starts. */
function asTask(look: UnitLook): UnitLook {
  return look.unitState === 'activating' ? { ...look, state: 'running' } : look;
}

/** As the wall clock is set now. The kernel's own clock is asked for: systemd counts from the boot. */
function wallOf(monotonicMs: number): number {
  return monotonicMs === 0 ? 0 : Math.round(Date.now() - Number(process.hrtime.bigint()) / 1e6 + monotonicMs);
}
