// `kalos install | uninstall`: the agent and its actuator as systemd units. The actuator has the privileges. The agent runs
// as a separate user, hardened; systemd restarts it if it exits or hangs.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findPackage, type Package } from '../adapters/package.ts';
import { checkTrust } from '../config/adapters/trust.ts';
import { KalosError } from '../errors.ts';
import { EXIT } from './exit-codes.ts';

const STATE = '/var/lib/kalos';
const SOCKET = '/run/kalos-actuator/sock';
const UNITS = ['kalos-actuator.service', 'kalos.service'] as const;
const SYSUSERS = '/etc/sysusers.d/kalos.conf';

interface InstalledFile {
  path: string;
  content: string;
  mode: number;
  /** For the administrator to edit: if it exists, it is neither replaced nor removed. */
  kept: boolean;
}

export interface InstallOptions {
  root: string;
  dryRun: boolean;
}

function actuatorUnit(user: string): string {
  const { actuatorPath, launcherPath } = findPackage();
  return `[Unit]
Description=KALOS actuator: privileged helper of the KALOS agent, limited by a policy
Documentation=file:${join(findPackage().root, 'docs', 'ARCHITECTURE.md')}
Before=kalos.service

[Service]
Type=notify
ExecStart=${actuatorPath} --state ${STATE}-actuator --socket ${SOCKET} --policy /etc/kalos/actuator.policy --judge ${launcherPath} --agent ${user}
ExecReload=/bin/kill -HUP $MAINPID
RuntimeDirectory=kalos-actuator
StateDirectory=kalos-actuator
StateDirectoryMode=0700
# Killed and restarted when it hangs; services keep running.
WatchdogSec=60
Restart=always
RestartSec=1
# Its child services survive a restart: the next actuator adopts them.
KillMode=process

[Install]
WantedBy=multi-user.target
`;
}

function agentUnit(user: string): string {
  const { root } = findPackage();
  return `[Unit]
Description=KALOS agent: keeps this machine healthy, with its peers
Documentation=file:${join(findPackage().root, 'docs', 'ARCHITECTURE.md')}
After=network-online.target kalos-actuator.service
Wants=network-online.target kalos-actuator.service

[Service]
Type=notify
# A release on trial runs as a child of the launcher.
NotifyAccess=all
ExecStart=${join(root, 'bin', 'kalos')} up --dir ${STATE}
# Reloads the configuration; the log shows what needs a restart.
ExecReload=/bin/kill -HUP $MAINPID
Environment=KALOS_ACTUATOR=${SOCKET}
User=${user}
StateDirectory=kalos
StateDirectoryMode=0700
CacheDirectory=kalos
Environment=NODE_COMPILE_CACHE=/var/cache/kalos
# The actuator kills a hung agent after 30 s and records its state; this is the fallback.
WatchdogSec=75
Restart=always
RestartSec=1
TimeoutStopSec=60
MemoryHigh=256M
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=multi-user.target
`;
}

/** A policy that allows nothing yet. */
export const POLICY = `# What the KALOS actuator may change: one rule per line. Without rules: only services. See docs/CONFIG.md.
# allow path /var/log/app
# allow sysctl vm.swappiness
# allow unit nginx.service
# certify service db
`;
const CONFIG = `# The KALOS agent of this machine; every key is in docs/CONFIG.md, kalos config show --origin prints the active values.
# mode = "act"
# listen = "0.0.0.0:7700"
`;

function filesOf(user: string): InstalledFile[] {
  return [
    { path: '/etc/systemd/system/kalos-actuator.service', content: actuatorUnit(user), mode: 0o644, kept: false },
    { path: '/etc/systemd/system/kalos.service', content: agentUnit(user), mode: 0o644, kept: false },
    { path: SYSUSERS, content: `u ${user} - "KALOS agent" ${STATE}\n`, mode: 0o644, kept: false },
    { path: '/etc/kalos/actuator.policy', content: POLICY, mode: 0o600, kept: true },
    { path: '/etc/kalos/kalos.toml', content: CONFIG, mode: 0o644, kept: true },
  ];
}

function needSystemd(root: string): void {
  if (root !== '/' || existsSync('/run/systemd/system')) return;
  throw new KalosError(
    'io',
    'this machine does not run systemd',
    'start the agent with: kalos up; as PID 1 of a container with: kalos up --init',
  );
}

/** Directories that the agent's unit hides: `ProtectHome` and `PrivateTmp`. If the package is in one, the unit cannot start. */
const HIDDEN: readonly (readonly [directory: string, by: string])[] = [
  ['/home', 'ProtectHome'],
  ['/root', 'ProtectHome'],
  ['/run/user', 'ProtectHome'],
  ['/tmp', 'PrivateTmp'],
  ['/var/tmp', 'PrivateTmp'],
];

/** @returns why the units cannot start a program at this path; undefined if they can */
export function hiddenFromUnits(path: string): string | undefined {
  const real = existsSync(path) ? realpathSync(path) : path;
  const found = HIDDEN.find(([directory]) => [path, real].some((one) => one === directory || one.startsWith(`${directory}/`)));
  return found === undefined ? undefined : `${path} is in ${found[0]}, which the units hide from the agent (${found[1]}=yes)`;
}

/**
 * @param node the program that the launcher starts.
 * @throws KalosError if the units could not start their programs, or would run as root a program that others can write.
 */
export function mustStart(
  root: string,
  { home, actuatorPath, launcherPath }: Pick<Package, 'home' | 'actuatorPath' | 'launcherPath'> = findPackage(),
  node = process.execPath,
): void {
  const why = [home, node].map(hiddenFromUnits).find((one) => one !== undefined);
  if (why !== undefined)
    throw new KalosError(
      'usage',
      `the units cannot start: ${why}`,
      'install the package where only root can write: npm pack, then npm install -g --prefix /opt/kalos FILE.tgz, then /opt/kalos/bin/kalos install',
    );
  if (root === '/') for (const path of [actuatorPath, launcherPath, node]) checkTrust(path, 0);
}

/** @throws KalosError if another user could redirect what is written or removed. */
function mustBeTrusted(root: string, files: readonly InstalledFile[]): void {
  for (const { path } of files) checkTrust(join(root, path));
}

export function install({ user, root, dryRun }: InstallOptions & { user: string }): number {
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(user)) throw new KalosError('usage', `"${user}" is not a valid user name`);
  mustStart(dryRun ? '' : root);
  const files = filesOf(user);
  if (dryRun) {
    for (const { path, content } of files) process.stdout.write(`# ${join(root, path)}\n${content}\n`);
    return EXIT.ok;
  }
  needSystemd(root);
  mustBeTrusted(root, files);
  for (const { path, content, mode, kept } of files) {
    const target = join(root, path);
    if (kept && existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content, { mode });
    process.stdout.write(`wrote ${target}\n`);
  }
  if (root !== '/') return EXIT.ok;
  run('systemd-sysusers', SYSUSERS);
  run('systemctl', 'daemon-reload');
  run('systemctl', 'enable', '--now', ...UNITS);
  process.stdout.write(`the agent runs: kalos status --dir ${STATE}; its log: journalctl -u kalos\n`);
  return EXIT.ok;
}

export function uninstall({ root, dryRun }: InstallOptions): number {
  const files = filesOf('kalos').filter(({ path, kept }) => !kept && existsSync(join(root, path)));
  if (!dryRun) needSystemd(root);
  if (!dryRun) mustBeTrusted(root, files);
  if (!dryRun && root === '/' && files.length > 0) run('systemctl', 'disable', '--now', ...UNITS);
  for (const { path } of files) {
    if (!dryRun) rmSync(join(root, path));
    process.stdout.write(`${dryRun ? 'would remove' : 'removed'} ${join(root, path)}\n`);
  }
  if (!dryRun && root === '/' && files.length > 0) run('systemctl', 'daemon-reload');
  if (files.length === 0) process.stdout.write('KALOS is not installed\n');
  return EXIT.ok;
}

/** @throws KalosError with the output of the program. */
function run(program: string, ...args: string[]): void {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const output = String((error as { stderr?: string }).stderr ?? error).trim();
    throw new KalosError('io', `${program} ${args.join(' ')}: ${output}`);
  }
}
