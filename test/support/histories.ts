// Recorded histories with their verdicts (shared/data/histories): of Jepsen's etcd tests, and of a key-value store.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Operation, RegisterInput, RegisterOutput } from '../../sim/check/linearizability.ts';

export interface RecordedHistory {
  name: string;
  isLinearizable: boolean;
  /** What a key holds before anything is written. */
  initial: string | null;
  operations: Operation<RegisterInput, RegisterOutput>[];
}

export function historyDirectory(given: string | undefined): string | undefined {
  const data = process.env.KALOS_DATA ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'data');
  return [given, join(data, 'histories')].find((path) => path !== undefined && existsSync(path));
}

export function recordedHistories(directory: string): RecordedHistory[] {
  const jepsen = join(directory, 'jepsen-etcd');
  const kv = join(directory, 'kv');
  const filesOf = (path: string, end: string): string[] =>
    existsSync(path)
      ? readdirSync(path)
          .filter((name) => name.endsWith(end))
          .sort()
      : [];
  const verdicts = existsSync(jepsen)
    ? (JSON.parse(readFileSync(join(jepsen, 'verdicts.json'), 'utf8')) as Record<string, boolean>)
    : {};
  return [
    ...filesOf(jepsen, '.log').map((name) => ({
      name,
      isLinearizable: verdicts[name.replace(/\.log$/, '')] === true,
      initial: null,
      operations: jepsenOperations(readFileSync(join(jepsen, name), 'utf8')),
    })),
    ...filesOf(kv, '.txt').map((name) => ({
      name,
      isLinearizable: name.endsWith('-ok.txt'),
      initial: '',
      operations: kvOperations(readFileSync(join(kv, name), 'utf8')),
    })),
  ];
}

/** Calls that wait for their returns, by process: time is the number of the line. */
class Recorder {
  readonly operations: Operation<RegisterInput, RegisterOutput>[] = [];
  readonly #open = new Map<string, Operation<RegisterInput, RegisterOutput>>();

  call(process: string, at: number, input: RegisterInput): void {
    const operation = { input, output: undefined, called: at, returned: Number.POSITIVE_INFINITY };
    this.#open.set(process, operation);
    this.operations.push(operation);
  }

  /** @param output undefined: it is never known; `drop`: it surely had no effect. */
  end(process: string, at: number, output: RegisterOutput | undefined | 'drop'): void {
    const operation = this.#open.get(process);
    this.#open.delete(process);
    if (operation === undefined) return;
    if (output === 'drop') this.operations.splice(this.operations.indexOf(operation), 1);
    else if (output !== undefined) Object.assign(operation, { output, returned: at });
  }
}

const LINE = /^INFO\s+jepsen\.util - (?<process>\d+)\s+:(?<type>\w+)\s+:(?<f>\w+)\s+(?<value>.*)$/;

function jepsenOperations(text: string): Operation<RegisterInput, RegisterOutput>[] {
  const recorder = new Recorder();
  for (const [at, line] of text.split('\n').entries()) {
    const { process = '', type, f, value = '' } = LINE.exec(line)?.groups ?? {};
    if (type === 'invoke') {
      const [from = '', to = ''] = value.replace(/[[\]]/g, '').split(' ');
      if (f === 'read') recorder.call(process, at, { kind: 'read', key: '' });
      else if (f === 'write') recorder.call(process, at, { kind: 'write', key: '', value });
      else recorder.call(process, at, { kind: 'cas', key: '', from, to });
    } else if (type === 'ok') {
      recorder.end(process, at, f === 'read' ? (value === 'nil' ? null : value) : true);
    } else if (type === 'fail') {
      // A compare-and-set that failed saw another value; anything else that failed did nothing.
      recorder.end(process, at, f === 'cas' ? false : 'drop');
    } else if (type === 'info') {
      recorder.end(process, at, undefined);
    }
  }
  return recorder.operations;
}

const KV_LINE =
  /^\{:process (?<process>\d+), :type :(?<type>\w+), :f :(?<f>\w+), :key "(?<key>[^"]*)", :value (?:nil|"(?<value>.*)")\}$/;

function kvOperations(text: string): Operation<RegisterInput, RegisterOutput>[] {
  const recorder = new Recorder();
  for (const [at, line] of text.split('\n').entries()) {
    const { process = '', type, f, key = '', value = '' } = KV_LINE.exec(line)?.groups ?? {};
    if (type === 'invoke') {
      if (f === 'get') recorder.call(process, at, { kind: 'read', key });
      else recorder.call(process, at, { kind: f === 'put' ? 'write' : 'append', key, value });
    } else if (type === 'ok') {
      recorder.end(process, at, f === 'get' ? value : true);
    }
  }
  return recorder.operations;
}
