// Reality: an agent on the machine's own clock, randomness, network, disk, /proc and processes.

import { existsSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { isOlder } from '../consensus/decisions/decision.ts';
import { JoinRefused } from '../swarm/identity/admission.ts';
import { Ed25519Crypto, type Identity, loadIdentity } from '../swarm/libp2p/identity.ts';
import { Libp2pTransport } from '../swarm/libp2p/transport.ts';
import { swarmNames } from '../swarm/names.ts';
import type { ServiceSpec } from '../swarm/ports/actuator.ts';
import { ActuatorClient } from './action/adapters/actuator-client.ts';
import { SystemClock } from './adapters/clock.ts';
import { ForkedCompute } from './adapters/forked-compute.ts';
import { LevelStore } from './adapters/level-store.ts';
import { LocalReleases } from './adapters/local-releases.ts';
import { findPackage } from './adapters/package.ts';
import { SystemRandom } from './adapters/random.ts';
import { type Agent, createAgent } from './agent.ts';
import { serveHttp } from './api/http.ts';
import { serveApi } from './api/server.ts';
import { readLayers } from './config/adapters/read-layers.ts';
import { makeStateDirectory, type StateDirectory, SYSTEM_POLICY, stateDirectory } from './config/adapters/state-directory.ts';
import { keepNetworkKeys } from './config/adapters/swarm-files.ts';
import { isLoopback } from './config/address.ts';
import { agentSettings } from './config/agent-config.ts';
import { type Config, type ConfigFlags, DEFAULT_LISTEN, listenAddress, resolveConfig } from './config/config.ts';
import { PolicyError } from './detection/policy-detector.ts';
import { type Entered, enterSwarm, type Founding } from './enter-swarm.ts';
import { KalosError } from './errors.ts';
import { openSensors } from './telemetry/adapters/native-sampler.ts';

/** Actuators take `--judge`, and launchers know `leave-check`. */
const JUDGES_SINCE = '0.3.0';

export interface NodeOptions extends ConfigFlags {
  directory: string | undefined;
  configFile: string | undefined;
  founding: Founding;
  /** The `kalos` entry script, forked for work in child processes. */
  entry: string;
  log(level: 'info' | 'warn', text: string): void;
  /** The agent cannot go on. */
  failed(error: unknown): void;
  /** The agent has stopped, and is to be started anew; its services go on. */
  restart(): void;
}

export interface RunningNode {
  agent: Agent;
  directory: StateDirectory;
  /** Why /proc is read in TypeScript; undefined with the native sampler. */
  sensorFallback: string | undefined;
  /** Where its page is; undefined where it has none. */
  page: string | undefined;
  /** Whether the swarm was founded by this start. */
  founded: boolean;
  stop(): Promise<void>;
}

/** Starts an agent in this process. @throws KalosError */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const directory = stateDirectory(options.directory);
  makeStateDirectory(directory);
  const { name: givenName, mode, listen, join: through, mdns } = options;
  const flags = { name: givenName, mode, listen, join: through, mdns };
  const config = resolveConfig(
    readLayers({ dir: options.directory, config: options.configFile, flags, environment: process.env }),
  );
  const store = await openStore(directory);
  const identity = await loadIdentity(directory.keyFile);
  const crypto = new Ed25519Crypto(identity);
  const { version, addonPath, modelPath } = findPackage();
  const { sensors, logs, fallbackReason } = openSensors(addonPath, options.entry);
  const clock = new SystemClock();
  const random = new SystemRandom();
  const name = config.name ?? (hostname().split('.')[0] ?? 'agent').slice(0, 24);
  const { join: given } = config;
  const entered = await enterSwarm({
    directory,
    store,
    crypto,
    random,
    name,
    nowMs: clock.wallMs(),
    join: given,
    founding: options.founding,
  });
  const { swarmId, token, bootstrap, rootSigners, networkKeys: keys, founded } = entered;
  const listenOn = config.listen ?? (await defaultListen());
  const transport = transportOf(config, identity, entered, listenOn);
  const ports = {
    clock,
    random,
    transport,
    store,
    sensors,
    actuator: await openActuator(directory, config.service, options.log),
    compute: new ForkedCompute(options.entry, modelPath),
    crypto,
    releases: new LocalReleases({ directory: directory.releases, takes: config.upgrades, environment: process.env }),
  };
  const networkKeys = { keys, keep: (kept: readonly Uint8Array[]) => keepNetworkKeys(directory, kept) };
  const place = { swarmId, token, rootSigners, networkKeys, join: bootstrap };
  const agent = makeAgent({ ...agentSettings(config), name, version, ...place }, ports, { ...options, restart: () => anew() });
  const server = await startAll(agent, directory, listenOn).catch(async (error: unknown) => {
    await ports.actuator.giveUp();
    throw error;
  });
  const http = await openHttp(agent, config.api, options.log);
  const close = (): void => {
    for (const one of [server, http, logs]) one?.close();
    http?.closeAllConnections();
    server.closeAllConnections();
  };
  const anew = (): void => {
    close();
    agent.stop('anew').then(options.restart, options.failed);
  };
  return {
    agent,
    directory,
    sensorFallback: fallbackReason,
    page: http && `${config.api.certificate === undefined ? 'http' : 'https'}://${config.api.listen}`,
    founded,
    stop: async () => {
      close();
      await agent.stop();
    },
  };
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

/** The page, and the API for others than the command line. An agent whose port is taken goes on without. */
async function openHttp(agent: Agent, api: Config['api'], log: NodeOptions['log']): Promise<Server | undefined> {
  if (api.listen === 'off') return undefined;
  const { certificate, key } = api;
  const server = await serveHttp(agent, { listen: api.listen, certificate, key });
  if (server === undefined)
    log('info', `no page here: ${api.listen} is taken, probably by another agent; api.listen chooses another`);
  return server;
}

/** The default port, or a free one where an agent of this machine has that already. */
async function defaultListen(): Promise<string> {
  const { host, port } = DEFAULT_LISTEN;
  const probe = createServer();
  const free = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => resolve(true));
  });
  await new Promise((resolve) => probe.close(resolve));
  return `${host}:${free ? port : 0}`;
}

async function openStore(directory: StateDirectory): Promise<LevelStore> {
  try {
    return await LevelStore.open(directory.database);
  } catch (error) {
    const locked = ((error as Error).cause as { code?: string } | undefined)?.code === 'LEVEL_LOCKED';
    if (locked)
      throw new KalosError(
        'already-running',
        `an agent already runs on ${directory.path}`,
        'ask it with: kalos status; or start another with --dir',
      );
    throw new KalosError('io', `cannot open ${directory.database}: ${(error as Error).message}`);
  }
}

/** The system's actuator where KALOS_ACTUATOR names its socket; else one of the agent's own, with the agent's privileges. */
async function openActuator(
  { actuator: state, actuatorPolicy }: StateDirectory,
  services: readonly ServiceSpec[],
  log: NodeOptions['log'],
): Promise<ActuatorClient> {
  const { KALOS_ACTUATOR: system } = process.env;
  const { actuatorPath, launcherPath, homeVersion } = findPackage();
  const socket = system ?? join(state, 'sock');
  const policy = existsSync(actuatorPolicy) || !existsSync(SYSTEM_POLICY) ? actuatorPolicy : SYSTEM_POLICY;
  // A release of the swarm may run beside an actuator of a package that is older.
  const judge = isOlder(homeVersion, JUDGES_SINCE) ? [] : ['--judge', launcherPath];
  const own = { program: actuatorPath, arguments: ['--owned', '--state', state, '--policy', policy, ...judge] };
  try {
    return await ActuatorClient.open({
      socket,
      own: system === undefined ? own : undefined,
      logs: join(dirname(socket), 'services'),
      services,
      log,
    });
  } catch (error) {
    const hint = existsSync(actuatorPath)
      ? `see ${join(dirname(socket), 'errors')} and ${join(dirname(socket), 'actuator.log')}`
      : 'it is not built: install g++ and run: node scripts/build-native.mjs';
    throw new KalosError('io', `the actuator: ${(error as Error).message}`, hint);
  }
}

function makeAgent(...[config, ports, events]: Parameters<typeof createAgent>): Agent {
  try {
    return createAgent(config, ports, events);
  } catch (error) {
    if (error instanceof PolicyError)
      throw new KalosError('config', error.message, 'policies are CEL expressions: see docs/CONFIG.md');
    throw error;
  }
}

async function startAll(agent: Agent, directory: StateDirectory, listen: string): Promise<Server> {
  try {
    await agent.start();
  } catch (error) {
    const text = (error as Error).message;
    if (error instanceof JoinRefused) throw new KalosError('refused', `cannot join: ${text}`);
    if (/EADDRINUSE|could not listen|no valid addresses|UnsupportedListen/i.test(text)) {
      throw new KalosError(
        'io',
        `cannot listen on ${listen}: ${text}`,
        'choose another with --listen ADDRESS:PORT; port 0 takes a free one',
      );
    }
    throw error;
  }
  return serveApi(agent, directory.socket);
}
