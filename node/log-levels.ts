// Levels, formats and entries of the agent's own log, for configuration, API and command line.
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogSettings {
  level: LogLevel;
  format: LogFormat;
}

export interface LogEntry {
  /** Starts at 1 when the agent starts. */
  seq: number;
  atMs: number;
  level: LogLevel;
  text: string;
}

export interface KeptLog {
  log(level: LogLevel, text: string): void;
  /** The entries after `seq` that are still kept; `last` is the newest `seq`. */
  after(seq: number): { last: number; entries: LogEntry[] };
}

export const isAtLeast = (level: LogLevel, least: LogLevel): boolean => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
