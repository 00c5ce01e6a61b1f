// Reports the agent's state to systemd (sd_notify(3)): ready, alive, stopping. Alive is sent from the event loop, so that an agent
// with a hung loop is restarted. Without systemd or the addon, nothing is sent.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { findPackage } from './package.ts';

interface Addon {
  notify(text: string): boolean;
}

export interface Notifier {
  ready(status: string): void;
  stopping(): void;
}

const SILENT: Notifier = { ready: () => undefined, stopping: () => undefined };

/** @param environment with NOTIFY_SOCKET and WATCHDOG_USEC, as systemd sets them. */
export function systemdNotifier(environment: Readonly<Record<string, string | undefined>>): Notifier {
  const { addonPath } = findPackage();
  if (environment.NOTIFY_SOCKET === undefined || !existsSync(addonPath)) return SILENT;
  const { notify } = createRequire(import.meta.url)(addonPath) as Addon;
  const watchdogMs = Number(environment.WATCHDOG_USEC ?? 0) / 1_000;
  return {
    ready: (status) => {
      notify(`READY=1\nSTATUS=${status.replaceAll('\n', ' ').slice(0, 200)}`);
      if (watchdogMs > 0) setInterval(() => notify('WATCHDOG=1'), watchdogMs / 2).unref();
    },
    stopping: () => void notify('STOPPING=1'),
  };
}
