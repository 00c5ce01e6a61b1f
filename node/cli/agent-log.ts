// The agent's own log. Each entry is a line on standard error, for people, for programs or for the systemd journal. The newest entries
// are kept in memory, with a limit, for `kalos log agent`. Entries below the level are neither written nor kept.
import { fstatSync } from 'node:fs';
import { isAtLeast, type KeptLog, type LogEntry, type LogFormat, type LogLevel, type LogSettings } from '../log-levels.ts';
import { paint, printable, printableJson } from './output.ts';
import { iso, localTimes, when } from './times.ts';

const MAX_KEPT_BYTES = 256 * 1024;
const MAX_TEXT = 4_096;
const ENTRY_BYTES = 64;
/** Join tokens and API tokens: never logged. */
const SECRETS = /\bkalos1\.[\w-]+|\bkapi_\w+?_[\w-]+/g;
/** Priorities of syslog(3). */
const PRIORITIES: Readonly<Record<LogLevel, number>> = { debug: 7, info: 6, warn: 4, error: 3 };
const COLOURS = { debug: 'dim', warn: 'yellow', error: 'red' } as const;
const LEVEL_WIDTH = 5;

/** Ends with a line feed. */
export function renderEntry({ atMs, level, text }: LogEntry, format: LogFormat): string {
  if (format === 'json') return `${printableJson(JSON.stringify({ time: iso(atMs), level, text }))}\n`;
  const line = `${when(atMs)} ${level.padEnd(LEVEL_WIDTH)} ${printable(localTimes(text)).replaceAll('\n', '\n  ')}`;
  return `${level === 'info' ? line : paint(COLOURS[level], line)}\n`;
}

export class AgentLog implements KeptLog {
  readonly #write: (line: string) => void;
  readonly #nowMs: () => number;
  readonly #isJournal: boolean;
  readonly #kept: LogEntry[] = [];
  #keptBytes = 0;
  #last = 0;
  #settings: LogSettings = { level: 'info', format: 'text' };

  /** @param isJournal lines begin with their priority, as sd-daemon(3) defines */
  constructor(write: (line: string) => void, nowMs: () => number, isJournal: boolean) {
    [this.#write, this.#nowMs, this.#isJournal] = [write, nowMs, isJournal];
  }

  get format(): LogFormat {
    return this.#settings.format;
  }

  configure(settings: Partial<LogSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  readonly log = (level: LogLevel, given: string): void => {
    if (!isAtLeast(level, this.#settings.level)) return;
    const whole = given.replace(SECRETS, '(hidden)');
    const text = whole.length > MAX_TEXT ? `${whole.slice(0, MAX_TEXT)}…` : whole;
    this.#last += 1;
    const entry = { seq: this.#last, atMs: this.#nowMs(), level, text };
    this.#keep(entry);
    const line = renderEntry(entry, this.#settings.format);
    this.#write(this.#isJournal ? line.replace(/^(?=.)/gm, `<${PRIORITIES[level]}>`) : line);
  };

  #keep(entry: LogEntry): void {
    this.#kept.push(entry);
    this.#keptBytes += sizeOf(entry);
    while (this.#keptBytes > MAX_KEPT_BYTES) {
      const gone = this.#kept.shift();
      if (gone === undefined) return;
      this.#keptBytes -= sizeOf(gone);
    }
  }

  after(seq: number): { last: number; entries: LogEntry[] } {
    return { last: this.#last, entries: this.#kept.filter((entry) => entry.seq > seq) };
  }
}

const sizeOf = ({ text }: LogEntry): number => ENTRY_BYTES + 2 * text.length;

/** Whether standard error is the journal. If it is redirected it is not, although the variable is inherited. */
export function isJournalStream(variable: string | undefined, fd = 2): boolean {
  if (variable === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd);
    return variable === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
