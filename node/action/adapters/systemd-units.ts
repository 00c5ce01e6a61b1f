// Services that systemd runs: systemctl shows their state, which needs no privileges; the actuator changes them.
// The properties are those of org.freedesktop.systemd1 (systemctl(1), show), in systemd 219 and newer.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Store } from '../../../swarm/ports/store.ts';
import type { ServiceSample, ServiceSpec, ServiceState, Step } from '../../ports/actuator.ts';
import { startTicksOf } from './start-ticks.ts';
import type { UnitLook } from './unit-stops.ts';
import { UnitStops } from './unit-stops.ts';

const LOOK_EVERY_MS = 2_000;
const ANSWER_WITHIN_MS = 5_000;
/** Without an answer for so long their state is unknown. */
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

/** @returns the state by each name of each unit, aliases too: `Id` is one of them, not always the requested one. */
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

/** `failed` exited by itself. `inactive` was stopped, exited cleanly, or was never started: systemd does not tell which. */
function stateOf(active: string): ServiceState {
  if (active === 'failed') return 'exited';
  return active === 'active' || active === 'reloading' || active === 'refreshing' ? 'running' : 'stopped';
}

/** In systemd's words; a reason that prevents a start goes first. Only if it does not run: a unit without its file may still run. */
function unitStateOf(active: string, properties: ReadonlyMap<string, string>): string {
  const loaded = properties.get('LoadState') ?? 'loaded';
  if (loaded !== 'loaded') return loaded;
  return properties.get('SubState')?.startsWith('auto-restart') === true ? 'auto-restart' : active;
}

export type UnitChange = Partial<ServiceSample> & { signal: number | undefined };
/** @param exits how often systemd restarted it since the last look. */
type Listener = (name: string, change: UnitChange, exits: number) => void;

export interface SystemdUnitsParts {
  systemctl: string;
  services: readonly ServiceSpec[];
  store: Pick<Store, 'range' | 'write'> | undefined;
  /** Called at every look with each service's state. */
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

  /** If systemctl does not answer, the last state stays for a while; then it is reported as unknown. */
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
    // A unit that was asked to stop is stopped, with any exit code.
    const state = look.state === 'exited' && by !== undefined ? 'stopped' : look.state;
    const exits = before === undefined ? 0 : Math.min(Math.max(0, look.starts - before.starts), MAX_EXITS);
    const purpose = { onPurpose: by === 'person', byPolicy: by === 'policy' };
    this.#changed(name, { ...change, ...purpose, state, sinceMs, startTicks: look.pid && startTicksOf(look.pid) }, exits);
  }

  armed(id: string, forMs: number, steps: readonly Step[]): void {
    this.#stops.armed(id, performance.now() + forMs, steps);
  }

  /** Stored before the actuator confirms: if that fails it starts the unit again, and a unit that runs was not stopped. */
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

/** By the wall clock as it is set now. From the kernel's clock, as systemd counts from the boot. */
function wallOf(monotonicMs: number): number {
  return monotonicMs === 0 ? 0 : Math.round(Date.now() - Number(process.hrtime.bigint()) / 1e6 + monotonicMs);
}
