// What a line of the agent's own log is: for the configuration, the API and the command line.
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogSettings {
  level: LogLevel;
  format: LogFormat;
}

export interface LogEntry {
  /** Counts on from 1 since the agent was started. */
  seq: number;
  atMs: number;
  level: LogLevel;
  text: string;
}

export interface KeptLog {
  log(level: LogLevel, text: string): void;
  /** What is kept of what came after an entry; `last` is the newest that there is. */
  after(seq: number): { last: number; entries: LogEntry[] };
}

export const isAtLeast = (level: LogLevel, least: LogLevel): boolean => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
