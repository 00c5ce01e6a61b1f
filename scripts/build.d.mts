export function isRunning(proc?: string): boolean;
export function install(fresh: string, dist: string, keepsOld?: boolean): void;
export function buildInto(dist: string): Promise<void>;
