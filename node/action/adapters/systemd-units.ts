// Services that systemd runs: what they are like is asked of systemctl, which needs no privileges; what is done to them is
// the actuator's. The properties are those of org.freedesktop.systemd1 (systemctl(1), show).
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ServiceSample, ServiceSpec, ServiceState } from '../../../swarm/ports/actuator.ts';
import { startTicksOf } from './start-ticks.ts';

const LOOK_EVERY_MS = 2_000;
const ANSWER_WITHIN_MS = 5_000;
const PROPERTIES = [
  'Id',
  'LoadState',
  'ActiveState',
  'MainPID',
  'ExecMainCode',
  'ExecMainStatus',
  'NRestarts',
  'StateChangeTimestamp',
] as const;
/** ExecMainCode, as si_code of waitid(2). */
const EXITED = '1';

export type UnitChange = Pick<ServiceSample, 'state' | 'pid' | 'exitCode' | 'starts' | 'sinceMs' | 'onPurpose'> & {
  /** Number of the signal that ended it. */
  signal: number | undefined;
};

/** Declared, and nobody's to start. */
const NOT_INSTALLED: UnitChange = {
  state: 'stopped',
  pid: undefined,
  exitCode: undefined,
  signal: undefined,
  starts: 0,
  sinceMs: 0,
  onPurpose: false,
};

/** @returns for each unit's name how it is; one that is not installed is left out. */
export function parseShow(text: string): Map<string, UnitChange> {
  const units = new Map<string, UnitChange>();
  for (const block of text.trim().split('\n\n')) {
    const properties = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
    );
    const id = properties.get('Id');
    if (id !== undefined && properties.get('LoadState') === 'loaded') units.set(id, changeOf(properties));
  }
  return units;
}

function changeOf(properties: ReadonlyMap<string, string>): UnitChange {
  const number = (key: string): number => Number(properties.get(key) ?? 0);
  const state = stateOf(properties.get('ActiveState') ?? '');
  const ended = state === 'exited';
  const code = properties.get('ExecMainCode');
  const since = properties.get('StateChangeTimestamp') ?? '';
  return {
    state,
    pid: number('MainPID') === 0 ? undefined : number('MainPID'),
    exitCode: ended && code === EXITED ? number('ExecMainStatus') : undefined,
    signal: ended && code !== EXITED ? number('ExecMainStatus') : undefined,
    starts: number('NRestarts') + 1,
    sinceMs: since.startsWith('@') ? Number(since.slice(1)) * 1_000 : 0,
    onPurpose: state === 'stopped',
  };
}

/** `failed` ended by itself; what is inactive was stopped, or never started. */
function stateOf(active: string): ServiceState {
  if (active === 'failed') return 'exited';
  return active === 'inactive' || active === 'deactivating' ? 'stopped' : 'running';
}

type Listener = (name: string, change: UnitChange & { startTicks: number | undefined }) => void;

export class SystemdUnits {
  readonly #systemctl: string;
  readonly #services: readonly ServiceSpec[];
  readonly #changed: Listener;
  readonly #timer: NodeJS.Timeout;

  /** @param changed told at every look how each service is. */
  constructor(systemctl: string, services: readonly ServiceSpec[], changed: Listener) {
    this.#systemctl = systemctl;
    this.#services = services;
    this.#changed = changed;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  /** Where systemctl does not answer nothing is told: what was known stands. */
  async look(): Promise<void> {
    const units = this.#services.flatMap(({ unit }) => unit ?? []);
    const args = ['show', '--timestamp=unix', `--property=${PROPERTIES.join(',')}`, '--', ...units];
    const shown = await promisify(execFile)(this.#systemctl, args, { timeout: ANSWER_WITHIN_MS }).catch(() => undefined);
    if (shown === undefined) return;
    const changes = parseShow(shown.stdout);
    for (const { name, unit = '' } of this.#services) {
      const change = changes.get(unit) ?? NOT_INSTALLED;
      this.#changed(name, { ...change, startTicks: change.pid && startTicksOf(change.pid) });
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
