// Reads logs with an alert in a child process, one after the other: a hung file system (an unreachable NFS server, a FUSE
// program that hangs) would block the agent’s loop or one of its few threads forever. A child that does not answer in time is
// killed and abandoned, its log is unavailable, with the reason, and another child continues with the other logs. The child is
// started with the first log that has an alert: an agent without one has none.
import { type ChildProcess, fork } from 'node:child_process';
import type { NewLines } from '../../ports/sensors.ts';
import type { Position } from './log-follower.ts';
import type { LogAnswer, LogQuestion } from './log-host.ts';

const ANSWER_WITHIN_MS = 5_000;
/** Time for a child to start on a very busy machine. */
const START_WITHIN_MS = 60_000;
/** A log on a hung file system is not read again for this time, and while its child hangs. */
const HUNG_MS = 60_000;
/** Maximum number of hung children, which only the kernel can end: then no other is started. */
const MAX_HUNG = 4;
const OLD_SPACE_MIB = 48;
const HANGS = `it did not answer within ${ANSWER_WITHIN_MS / 1_000} s: its file system hangs, or the machine is very busy`;

interface Hung {
  untilMs: number;
  child: ChildProcess;
}

export class LogReader {
  readonly #entry: string;
  #child: Promise<ChildProcess> | undefined;
  #started: ChildProcess | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #next = 1;
  #isClosed = false;
  /** The read position of each log by path, for a child that takes over. */
  readonly #positions = new Map<string, Position>();
  readonly #hung = new Map<string, Hung>();

  /** @param entry the `kalos` entry, called with `log-host`. */
  constructor(entry: string) {
    this.#entry = entry;
  }

  newLines(path: string, pattern: string): Promise<NewLines> {
    const turn = this.#last.then(() => this.#ask(path, pattern));
    this.#last = turn;
    return turn;
  }

  async #ask(path: string, pattern: string): Promise<NewLines> {
    const hung = this.#hung.get(path);
    const isHung = hung !== undefined && (isAlive(hung.child) || performance.now() < hung.untilMs);
    const alive = [...this.#hung.values()].filter(({ child }) => isAlive(child)).length;
    if (isHung) return unseen(HANGS);
    if (alive >= MAX_HUNG) return unseen(`${alive} other logs are on hung file systems`);
    try {
      const child = await this.#ready();
      const question = { id: this.#next++, path, pattern, from: this.#positions.get(path) };
      return this.#taken(path, await asked(child, question));
    } catch (error) {
      const child = this.#end();
      if (error instanceof Late && child !== undefined) this.#hung.set(path, { untilMs: performance.now() + HUNG_MS, child });
      return unseen((error as Error).message);
    }
  }

  #taken(path: string, answer: LogAnswer): NewLines {
    if (!answer.ok) return answer;
    this.#hung.delete(path);
    if (answer.position !== undefined) this.#positions.set(path, answer.position);
    const { lines, matching, skippedBytes } = answer;
    return { ok: true, lines, matching, skippedBytes };
  }

  #ready(): Promise<ChildProcess> {
    if (this.#isClosed) return Promise.reject(new Error('the agent is stopping'));
    if (this.#started !== undefined && !isAlive(this.#started)) this.#end();
    this.#child ??= this.#start();
    return this.#child;
  }

  async #start(): Promise<ChildProcess> {
    const child = fork(this.#entry, ['log-host'], {
      execArgv: [`--max-old-space-size=${OLD_SPACE_MIB}`, '--max-semi-space-size=1', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#started = child;
    child.on('error', () => undefined); // an exit follows, or the deadline
    await answerOf(child, 0, START_WITHIN_MS, new Error('the log reader process does not start'));
    return child;
  }

  /** @returns the killed child, which may not have exited yet. */
  #end(): ChildProcess | undefined {
    const child = this.#started;
    child?.kill('SIGKILL');
    if (child?.connected === true) child.disconnect();
    child?.unref();
    [this.#child, this.#started] = [undefined, undefined];
    return child;
  }

  close(): void {
    this.#isClosed = true;
    this.#end();
  }
}

class Late extends Error {}

const unseen = (reason: string): NewLines => ({ ok: false, reason });
const isAlive = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;

async function asked(child: ChildProcess, question: LogQuestion): Promise<LogAnswer> {
  const late = new Late(HANGS);
  const answer = answerOf(child, question.id, ANSWER_WITHIN_MS, late);
  child.send(question);
  return (await answer) as LogAnswer;
}

function answerOf(child: ChildProcess, id: number, withinMs: number, late: Error): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      child.off('message', take).off('exit', gone);
      settle();
    };
    const take = (message: { id: number; answer?: unknown }): void => {
      if (message.id === id) done(() => resolve(message.answer));
    };
    const gone = (): void => done(() => reject(new Error('the log reader process exited')));
    const timer = setTimeout(() => done(() => reject(late)), withinMs);
    child.on('message', take).on('exit', gone);
  });
}
