export function isRunning(proc?: string): boolean;
export function install(fresh: string, dist: string, keepsOld: boolean): void;
