// Where the parts of an agent report to: the log for people, the audit for what was commanded, and failures after which the agent must stop.

export interface Reporter {
  log(level: 'info' | 'warn', text: string): void;
  /** Records a command, or what followed from one, in this agent's audit. @param subject the agent itself where it is not given */
  noted(text: string, subject?: string): Promise<unknown>;
  /** Something that must not fail did: the agent has to be stopped. Its journal makes that safe. */
  failed(error: unknown): void;
}
