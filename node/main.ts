// Starts a real agent: with the machine's clock, randomness, network, disk, /proc and processes.

import { existsSync } from 'node:fs';
import type { Server } from 'node:http';
import { type AddressInfo, createServer, type ListenOptions, type Server as NetServer } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { isOlder } from '../consensus/decisions/decision.ts';
import { JoinRefused } from '../swarm/identity/admission.ts';
import { nameOfMachine } from '../swarm/identity/machine-name.ts';
import { Ed25519Crypto, type Identity, loadIdentity } from '../swarm/libp2p/identity.ts';
import { Libp2pTransport } from '../swarm/libp2p/transport.ts';
import { swarmNames } from '../swarm/names.ts';
import { ActuatorClient } from './action/adapters/actuator-client.ts';
import { SystemClock } from './adapters/clock.ts';
import { ForkedCompute } from './adapters/forked-compute.ts';
import { READ_AT_START_BYTES } from './adapters/level-damage.ts';
import { LevelStore, refusalOf } from './adapters/level-store.ts';
import { LocalReleases } from './adapters/local-releases.ts';
import { findPackage } from './adapters/package.ts';
import { SystemRandom } from './adapters/random.ts';
import { type Agent, createAgent } from './agent/agent.ts';
import { serveHttp } from './api/http.ts';
import { serveApi } from './api/server.ts';
import { AuditDamaged } from './audit/audit-log.ts';
import type { AgentLog } from './cli/agent-log.ts';
import { readLayers } from './config/adapters/read-layers.ts';
import { checkState, recoveryHint } from './config/adapters/state-check.ts';
import { makeStateDirectory, type StateDirectory, SYSTEM_POLICY, stateDirectory } from './config/adapters/state-directory.ts';
import { keepNetworkKeys } from './config/adapters/swarm-files.ts';
import { isLoopback } from './config/address.ts';
import { agentSettings } from './config/agent-config.ts';
import { type Config, type ConfigFlags, DEFAULT_LISTEN, listenAddress } from './config/config.ts';
import { PolicyError } from './detection/policy-detector.ts';
import { type Entered, enterSwarm, type Founding } from './enter-swarm.ts';
import { KalosError, reasonOf, remedyFor } from './errors.ts';
import type { LogLevel } from './log-levels.ts';
import type { ServiceSpec } from './ports/actuator.ts';
import { Configuration, type Reloaded } from './reload.ts';
import { openSensors } from './telemetry/adapters/native-sampler.ts';

/** Ports tried in order if the port of the web UI is in use; after these, any free one. */
const NEXT_PAGE_PORTS = 9;
const MAX_PORT = 65_535;
/** From this version on actuators have `--judge`, and launchers `leave-check`. */
const AUTHORIZES_SINCE = '0.3.0';

/** A restart happens after this time at the latest. */
const RESTART_WITHIN_MS = 20_000;

export interface NodeOptions extends ConfigFlags {
  directory: string | undefined;
  configFile: string | undefined;
  founding: Founding;
  /** Address of web UI and API, or `off`; undefined: as configured. */
  page: string | undefined;
  /** The `kalos` entry script, forked for work in child processes. */
  entry: string;
  log(level: LogLevel, text: string): void;
  /** The log that `log` writes to. */
  ownLog: AgentLog;
  /** The agent failed and cannot run on. */
  failed(error: unknown): void;
  /** The agent has stopped and must be restarted; its services keep running. */
  restart(): void;
}

export interface RunningNode {
  agent: Agent;
  directory: StateDirectory;
  /** Why /proc is read in TypeScript; undefined with the native sampler. */
  sensorFallback: string | undefined;
  /** URL of the web UI; undefined if it is off. */
  page: string | undefined;
  /** Whether this start created the swarm. */
  founded: boolean;
  /** Reloads the configuration. */
  reload(): Promise<Reloaded>;
  stop(): Promise<void>;
}

/** Starts an agent in this process. @throws KalosError */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  try {
    return await start(options);
  } catch (error) {
    // Any file that could not be written.
    if (error instanceof KalosError || refusalOf(error) === undefined) throw error;
    throw storeError(stateDirectory(options.directory), error);
  }
}

async function start(options: NodeOptions): Promise<RunningNode> {
  const directory = stateDirectory(options.directory);
  await checkState(directory, READ_AT_START_BYTES);
  makeStateDirectory(directory);
  const configuration = configurationOf(options);
  const config = configuration.inForce;
  options.ownLog.configure(config.agent_log);
  const store = await openStore(directory, options.log);
  const identity = await loadIdentity(directory.keyFile);
  const crypto = new Ed25519Crypto(identity);
  const { version, addonPath, modelPath } = findPackage();
  const { sensors, logs, fallbackReason } = openSensors(addonPath, options.entry);
  const [clock, random] = [new SystemClock(), new SystemRandom()];
  const name = config.name ?? nameOfMachine(hostname(), identity.peer);
  const entered = await enterSwarm({
    directory,
    store,
    crypto,
    random,
    name,
    nowMs: clock.wallMs(),
    join: config.join,
    founding: options.founding,
  });
  const { swarmId, token, bootstrap, rootSigners, networkKeys: keys, founded } = entered;
  const listenOn = config.listen ?? (await defaultListen(store));
  const transport = transportOf(config, identity, entered, listenOn);
  const ports = {
    clock,
    random,
    transport,
    store,
    sensors,
    actuator: await openActuator(directory, config.service, store, options.log),
    compute: new ForkedCompute(options.entry, modelPath),
    crypto,
    releases: new LocalReleases({ directory: directory.releases, takes: config.upgrades, environment: process.env }),
  };
  const networkKeys = { keys, keep: (kept: readonly Uint8Array[]) => keepKeys(directory, kept, options.log) };
  const where = `${hostname()}, process ${process.pid}`;
  const place = { place: where, swarmId, token, rootSigners, networkKeys, join: bootstrap };
  const agent = makeAgent(configuration, { ...agentSettings(config), name, version, ...place }, ports, {
    ...options,
    restart: () => startAgain(),
  });
  const server = await startAll(agent, directory, listenOn).catch(async (error: unknown) => {
    await ports.actuator.giveUp();
    throw error;
  });
  if (config.listen === undefined) await keepPort(store, transport.addresses());
  store.waits = true;
  const page = await openPage(agent, config.api, options.log);
  const http = page?.server;
  const reload = reloading(configuration, agent, options.ownLog);
  agent.edge = { page: page?.url, configuration: () => configuration.entries(), reload, log: options.ownLog };
  const close = (): void => {
    for (const one of [server, http, logs]) one?.close();
    http?.closeAllConnections();
    server.closeAllConnections();
  };
  const { startAgain, stop } = endings(agent, clock, close, options);
  return {
    agent,
    directory,
    sensorFallback: fallbackReason,
    page: page?.url,
    founded,
    reload,
    stop,
  };
}

/** Reloads the configuration. Settings of the process around the agent are applied here. */
const reloading = (configuration: Configuration, agent: Agent, log: AgentLog) => async (): Promise<Reloaded> => {
  const reloaded = await configuration.reload(agent);
  log.configure(configuration.inForce.agent_log);
  return reloaded;
};

/** How the agent stops: finally, or to restart. A part that hangs delays a restart only for a time; then it is as after a crash. */
function endings(agent: Agent, clock: SystemClock, close: () => void, { restart }: NodeOptions) {
  let isFinal = false;
  const begin = (): void => (isFinal ? undefined : restart());
  return {
    startAgain: (): void => {
      close();
      clock.after(RESTART_WITHIN_MS, begin);
      agent.stop('restart').then(begin, begin);
    },
    stop: (): Promise<void> => {
      isFinal = true;
      close();
      return agent.stop();
    },
  };
}

/** @throws KalosError */
function configurationOf(options: NodeOptions): Configuration {
  const { directory, configFile, page, name, mode, listen, join: through, mdns, agent_log } = options;
  const api = page === undefined ? undefined : { listen: page };
  const flags = { name, mode, listen, join: through, mdns, api, agent_log };
  return new Configuration(() => readLayers({ dir: directory, config: configFile, flags, environment: process.env, acts: true }));
}

function transportOf({ announce, mdns }: Config, identity: Identity, { swarmId, networkKeys }: Entered, listenOn: string) {
  return new Libp2pTransport({
    self: identity.peer,
    privateKey: identity.privateKey,
    listen: [listenAddress(listenOn)],
    announce,
    swarmId,
    networkKeys,
    dhtProtocol: swarmNames(swarmId).dhtProtocol,
    localDiscovery: mdns && !isLoopback(listenOn),
  });
}

interface Page {
  server: Server;
  url: string;
}

/** Serves the web UI and the HTTP API. If the port is in use, as by Prometheus or another agent, the next free one is used. */
async function openPage(
  agent: Agent,
  { listen, certificate, key }: Config['api'],
  log: NodeOptions['log'],
): Promise<Page | undefined> {
  if (listen === 'off') return undefined;
  const scheme = certificate === undefined ? 'http' : 'https';
  const host = listen.slice(0, listen.lastIndexOf(':'));
  const wanted = Number(listen.slice(host.length + 1));
  const others = Array.from({ length: NEXT_PAGE_PORTS }, (_, n) => wanted + 1 + n).filter((port) => port <= MAX_PORT);
  for (const port of [wanted, ...others, 0]) {
    const server = await serveHttp(agent, { listen: `${host}:${port}`, certificate, key });
    if (server === undefined) continue;
    const url = `${scheme}://${host}:${(server.address() as AddressInfo).port}`;
    if (port !== wanted)
      log(
        'info',
        `port ${wanted} is in use by another program: the web UI is at ${url}; change it with --page PORT, or --page off`,
      );
    return { server, url };
  }
  return undefined;
}

/** @returns the server once it listens; undefined if another one does. */
async function listening(where: ListenOptions): Promise<NetServer | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(where, () => resolve(server));
  });
}

/** Of this process, for its life: an abstract socket, so that of several agents that start at once only one takes the default port. */
let claim: Promise<NetServer | undefined> | undefined;

const PORT_KEY = 'listen/port';

/** The port of its last run, by which other members find it; else the default port; else a free one. */
async function defaultListen(store: LevelStore): Promise<string> {
  const { host, port: first } = DEFAULT_LISTEN;
  const kept = await store.get(PORT_KEY);
  const last = kept === undefined ? first : Number(Buffer.from(kept).toString());
  claim ??= listening({ path: `\0kalos-${first}` });
  const claimed = await claim;
  claimed?.unref();
  const ports = [last, first].filter((port) => Number.isInteger(port) && port > 0 && port <= MAX_PORT);
  for (const port of ports) {
    const probe = (kept !== undefined && port === last) || claimed !== undefined ? await listening({ host, port }) : undefined;
    if (probe === undefined) continue;
    await new Promise((resolve) => probe.close(resolve));
    return `${host}:${port}`;
  }
  return `${host}:0`;
}

/** For its next start. */
async function keepPort(store: LevelStore, addresses: readonly string[]): Promise<void> {
  const port = addresses.map((address) => /\/tcp\/(\d+)/.exec(address)?.[1]).find((one) => one !== undefined);
  if (port !== undefined) await store.write([{ kind: 'put', key: PORT_KEY, value: Buffer.from(port) }]);
}

/** @throws KalosError */
async function openStore(directory: StateDirectory, log: NodeOptions['log']): Promise<LevelStore> {
  const { path, database, reserve } = directory;
  const refused = (reason: string | undefined): void => {
    if (reason === undefined) log('info', `the disk of ${path} accepts writes again; queued records are saved`);
    else
      log(
        'warn',
        `the disk of ${path} refuses writes: ${reason}. Until it is writable, the agent only observes and keeps its services running; ${remedyFor(reason, path)}`,
      );
  };
  try {
    return await LevelStore.open(database, { reserve, refused });
  } catch (error) {
    throw storeError(directory, error);
  }
}

/** A rotation is in the roster too: a key that cannot be saved now is saved at the next start. */
function keepKeys(directory: StateDirectory, keys: readonly Uint8Array[], log: NodeOptions['log']): void {
  try {
    keepNetworkKeys(directory, keys);
  } catch (error) {
    log(
      'warn',
      `the new network key is in use, but could not be saved in ${directory.networkKey}: ${reasonOf(error)}; the next start saves it`,
    );
  }
}

function storeError({ path, database }: StateDirectory, error: unknown): KalosError {
  const cause = ((error as Error).cause ?? error) as { code?: string; message: string };
  if (cause.code === 'LEVEL_LOCKED')
    return new KalosError(
      'already-running',
      `an agent already runs on ${path}`,
      'see: kalos status; or start another with --dir',
    );
  const refusal = refusalOf(error);
  if (refusal !== undefined)
    return new KalosError(
      'io',
      `the state in ${path} cannot be written: ${refusal}`,
      `${remedyFor(refusal, path)}, and start again`,
    );
  return new KalosError('damaged', `${database} is damaged: ${cause.message.split('\n')[0]}`, recoveryHint(path));
}

/** The system's actuator if KALOS_ACTUATOR has its socket; else the agent's own, with the agent's privileges. */
async function openActuator(
  { actuator: state, actuatorPolicy }: StateDirectory,
  services: readonly ServiceSpec[],
  store: LevelStore,
  log: NodeOptions['log'],
): Promise<ActuatorClient> {
  const { KALOS_ACTUATOR: system } = process.env;
  const { actuatorPath, launcherPath, homeVersion } = findPackage();
  const socket = system ?? join(state, 'sock');
  const policy = existsSync(actuatorPolicy) || !existsSync(SYSTEM_POLICY) ? actuatorPolicy : SYSTEM_POLICY;
  // A release of the swarm may use the actuator of an older package.
  const authorizer = isOlder(homeVersion, AUTHORIZES_SINCE) ? [] : ['--judge', launcherPath];
  const own = { program: actuatorPath, arguments: ['--owned', '--state', state, '--policy', policy, ...authorizer] };
  try {
    return await ActuatorClient.open({
      socket,
      own: system === undefined ? own : undefined,
      logs: join(dirname(socket), 'services'),
      services,
      store,
      log,
    });
  } catch (error) {
    const hint = existsSync(actuatorPath)
      ? `see ${join(dirname(socket), 'errors')} and ${join(dirname(socket), 'actuator.log')}`
      : 'it is not built: install g++ and run: node scripts/build-native.mjs';
    throw new KalosError('io', `the actuator: ${(error as Error).message}`, hint);
  }
}

function makeAgent(configuration: Configuration, ...given: Parameters<typeof createAgent>): Agent {
  try {
    return createAgent(...given);
  } catch (error) {
    if (error instanceof PolicyError)
      throw new KalosError('config', configuration.located(error), 'policies are CEL expressions: see docs/CONFIG.md');
    throw error;
  }
}

async function startAll(agent: Agent, directory: StateDirectory, listen: string): Promise<Server> {
  try {
    await agent.start();
  } catch (error) {
    const text = (error as Error).message;
    if (error instanceof AuditDamaged)
      throw new KalosError(
        'damaged',
        `${directory.database} does not belong to ${directory.keyFile}, or is damaged: ${text}`,
        recoveryHint(directory.path),
      );
    if (error instanceof JoinRefused) throw new KalosError('refused', `cannot join: ${text}`);
    const refused = text.match(/listen (E[A-Z]+): ([^\n]*?)(?: \S+)?$/m);
    if (refused !== null || /listen/i.test(text))
      throw new KalosError(
        'io',
        `cannot listen on ${listen}: ${refused?.[2] ?? text.split('\n')[0]}`,
        'choose another with --listen ADDRESS:PORT; port 0 takes a free one',
      );
    throw error;
  }
  return serveApi(agent, directory.socket);
}
