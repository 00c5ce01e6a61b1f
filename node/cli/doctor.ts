// `kalos doctor`: checks whether this machine has what KALOS needs, and says how to fix what is missing.
import { execFileSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { counted } from '../../swarm/words.ts';
import { freeBytes, tryDisk } from '../adapters/disk-reserve.ts';
import { findPackage } from '../adapters/package.ts';
import type { AgentStatus } from '../agent/agent-status.ts';
import { callAgent } from '../api/client.ts';
import { checkState } from '../config/adapters/state-check.ts';
import { makeStateDirectory, SYSTEM_POLICY, stateDirectory } from '../config/adapters/state-directory.ts';
import { KalosError, reasonOf, remedyFor } from '../errors.ts';
import { openSensors } from '../telemetry/adapters/native-sampler.ts';
import type { AuditVerification } from './audit.ts';
import { printRows } from './data.ts';
import { meaningsOf } from './doctor-policy.ts';
import { EXIT } from './exit-codes.ts';
import { POLICY } from './install.ts';
import { bytes, type Format, paint } from './output.ts';

/** Without this variable its install script downloads CUDA libraries; if that fails, npm leaves the package out as optional. */
const ONNX_HINT = 'fix with: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@1.30.0';

/** With less, an agent's database may not be able to create its next file. */
const SCARCE_BYTES = 32 * 1024 * 1024;

interface Finding {
  check: string;
  /** `lacks`: something optional is missing; `broken`: must be fixed. People see RESULT_WORDS. */
  result: 'ok' | 'lacks' | 'broken';
  detail: string;
  /** An automatic fix; undefined if a person must fix it. */
  fix?: { what: string; run(): void };
}

/** The first column; programs read the results themselves. */
const RESULT_WORDS: Readonly<Record<Finding['result'], string>> = { ok: 'ok', lacks: 'missing', broken: 'failed' };

export interface DoctorOptions {
  fix: boolean;
  /** With `fix`: only print what it would do. */
  dryRun: boolean;
}

export async function doctor(directory: string | undefined, format: Format, { fix, dryRun }: DoctorOptions): Promise<number> {
  if (dryRun && !fix) throw new KalosError('usage', '--dry-run needs --fix');
  const found = await examine(directory);
  const fixed = fix ? applyFixes(found, dryRun) : [];
  const findings = fix && !dryRun ? await examine(directory) : found;
  const broken = findings.filter(({ result }) => result === 'broken').length;
  if (format === 'table' || format === 'wide') process.stdout.write(`${[...findings.map(render), ...fixed].join('\n')}\n`);
  else
    printRows(format, {
      headers: ['check', 'result', 'detail', 'fix'],
      rows: findings.map(({ check, result, detail, fix: remedy }) => [check, result, detail, remedy?.what]),
      data: { findings: findings.map(({ fix: remedy, ...rest }) => ({ ...rest, fix: remedy?.what ?? null })), mended: fixed },
    });
  return broken > 0 ? EXIT.degraded : EXIT.ok;
}

/** @returns what was done, one line for each fix. */
function applyFixes(findings: readonly Finding[], dryRun: boolean): string[] {
  const fixable = findings.flatMap(({ check, fix }) => (fix === undefined ? [] : [{ check, fix }]));
  if (fixable.length === 0) return ['doctor can fix nothing here'];
  return fixable.map(({ check, fix }) => {
    if (dryRun) return `would fix ${check}: ${fix.what}`;
    try {
      fix.run();
      return `fixed ${check}: ${fix.what}`;
    } catch (error) {
      return `could not fix ${check}: ${(error as Error).message.split('\n')[0]}`;
    }
  });
}

async function examine(directory: string | undefined): Promise<Finding[]> {
  return [
    checkNode(),
    checkSampler(),
    checkPressure(),
    await checkModel(),
    await stateFinding(directory),
    await checkSpace(directory),
    checkActuator(directory),
    ...(await checkAgent(directory)),
  ];
}

/** Builds the native code; g++ and the sources are there. */
function buildFix(): Finding['fix'] {
  const script = join(findPackage().root, 'scripts', 'build-native.mjs');
  return {
    what: 'build the native code',
    run: () => void execFileSync(process.execPath, [script], { stdio: ['ignore', 'ignore', 'pipe'] }),
  };
}

function render({ check, result, detail }: Finding): string {
  const colour = result === 'ok' ? 'green' : result === 'lacks' ? 'yellow' : 'red';
  return `${paint(colour, RESULT_WORDS[result].padEnd(7))}  ${check.padEnd(16)}  ${detail}`;
}

function checkNode(): Finding {
  return { check: 'runtime', result: 'ok', detail: `Node ${process.version}, ${process.arch}` };
}

function checkSampler(): Finding {
  const { addonPath } = findPackage();
  const { sensors, fallbackReason } = openSensors(addonPath);
  const count = sensors.sample().processes.length;
  if (fallbackReason === undefined)
    return { check: 'sensors', result: 'ok', detail: `native sampler, ${counted(count, 'process')} found` };
  return {
    check: 'sensors',
    result: 'lacks',
    detail: `plain /proc reader (${fallbackReason}); install g++ and run: node scripts/build-native.mjs`,
    fix: buildFix(),
  };
}

function checkPressure(): Finding {
  if (existsSync('/proc/pressure/memory')) return { check: 'pressure', result: 'ok', detail: 'PSI of CPU, memory and I/O' };
  return { check: 'pressure', result: 'lacks', detail: 'no /proc/pressure: boot with psi=1; pressure conditions stay Unknown' };
}

async function checkModel(): Promise<Finding> {
  const { modelPath } = findPackage();
  try {
    const { loadIncidentModel } = await import('../../models/onnx/incident-model.ts');
    const { FEATURE_COUNT } = await import('../../models/features.ts');
    const probabilities = await (await loadIncidentModel(modelPath)).classify(new Array(FEATURE_COUNT).fill(0));
    return { check: 'incident model', result: 'ok', detail: `${counted(probabilities.length, 'class')}, onnxruntime works` };
  } catch (error) {
    return {
      check: 'incident model',
      result: 'lacks',
      detail: `${(error as Error).message.split('\n')[0]}; the operational tier abstains; ${ONNX_HINT}`,
    };
  }
}

async function stateFinding(given: string | undefined): Promise<Finding> {
  const directory = stateDirectory(given);
  const { path } = directory;
  if (!existsSync(path)) {
    const fix = { what: `create ${path}`, run: () => makeStateDirectory(stateDirectory(given)) };
    return { check: 'state', result: 'lacks', detail: `${path} does not exist yet: kalos up creates it`, fix };
  }
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    const fix = { what: `chmod 700 ${path}`, run: () => chmodSync(path, 0o700) };
    return { check: 'state', result: 'broken', detail: `${path} is open to others (mode ${mode.toString(8)})`, fix };
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    await checkState(directory, Number.POSITIVE_INFINITY, true);
    return { check: 'state', result: 'ok', detail: path };
  } catch (error) {
    const hint = error instanceof KalosError ? error.hint : `give this user access: chmod 700 ${path}`;
    return {
      check: 'state',
      result: 'broken',
      detail: `${error instanceof KalosError ? error.message : `${path}: ${reasonOf(error)}`}; ${hint}`,
    };
  }
}

/** Checks that the file system of the state directory accepts writes and has free space. */
async function checkSpace(given: string | undefined): Promise<Finding> {
  const check = 'state disk';
  const { path } = stateDirectory(given);
  if (!existsSync(path)) return { check, result: 'ok', detail: 'not needed yet' };
  const failure = await tryDisk(path);
  if (failure !== undefined) {
    const reason = reasonOf(failure);
    return { check, result: 'broken', detail: `${path} refuses writes: ${reason}; ${remedyFor(reason, path)}` };
  }
  const free = freeBytes(path);
  const detail = `${bytes(free)} free`;
  if (free >= SCARCE_BYTES) return { check, result: 'ok', detail };
  return { check, result: 'lacks', detail: `only ${detail}: ${remedyFor('no space', path)}` };
}

/** Checks that the actuator is built and that it accepts its policy. */
function checkActuator(given: string | undefined): Finding {
  const check = 'actuator';
  const { actuatorPath } = findPackage();
  const { actuatorPolicy } = stateDirectory(given);
  if (!existsSync(actuatorPath))
    return {
      check,
      result: 'broken',
      detail: 'it is not built; install g++ and run: node scripts/build-native.mjs',
      fix: buildFix(),
    };
  const policy = [actuatorPolicy, SYSTEM_POLICY].find((path) => existsSync(path));
  if (policy === undefined)
    return {
      check,
      result: 'lacks',
      detail: `it may only manage services: ${actuatorPolicy} is missing; see docs/CONFIG.md`,
      fix: {
        what: `create ${actuatorPolicy} with examples (allows nothing yet)`,
        run: () => writeFileSync(actuatorPolicy, POLICY, { mode: 0o600, flag: 'wx' }),
      },
    };
  try {
    const asRoot = meaningsOf(policy).filter(({ root }) => root);
    const wide =
      asRoot.length === 0
        ? ''
        : `; the agent can become root by ${asRoot.map(({ rule }) => rule).join(', ')}: kalos doctor --policy ${policy}`;
    return { check, result: 'ok', detail: `its policy is ${policy}${wide}` };
  } catch (error) {
    return { check, result: 'broken', detail: (error as Error).message };
  }
}

/** Longer than an answer is delayed on a busy machine. */
const SILENT_S = 10;

function silentActuator({ metrics }: AgentStatus): Finding[] {
  const silentS = metrics['kalos.actuator.silence'] ?? 0;
  if (silentS < SILENT_S) return [];
  const detail = `no answer to the agent for ${Math.round(silentS)} s: see its log, then run systemctl restart kalos-actuator; without systemd kill its process, and the agent restarts it`;
  return [{ check: 'actuator answers', result: 'broken', detail }];
}

async function checkAgent(directory: string | undefined): Promise<Finding[]> {
  try {
    const status = await callAgent<AgentStatus>(directory, 'GET', '/v1/status');
    const audit = await callAgent<AuditVerification>(directory, 'GET', '/v1/audit/verification');
    const alone = status.members.length === 1 ? 'alone' : `one of ${counted(status.members.length, 'member')}`;
    return [
      { check: 'agent', result: 'ok', detail: `${status.name} runs, ${alone}, mode ${status.mode}` },
      status.twin === null
        ? { check: 'key', result: 'ok', detail: 'no other agent with the same key is known' }
        : { check: 'key', result: 'broken', detail: status.twin },
      ...silentActuator(status),
      audit.ok
        ? {
            check: 'audit',
            result: 'ok',
            detail: `${counted(audit.records, 'record')}, none changed, root ${audit.root.slice(0, 16)}`,
          }
        : { check: 'audit', result: 'broken', detail: `record ${audit.index}: ${audit.reason}` },
    ];
  } catch (error) {
    return [{ check: 'agent', result: 'lacks', detail: (error as Error).message }];
  }
}
