// Keys of kernel parameters, as sysctl(8) has them: dots part them, and a slash stands for a dot within a part, which the names of VLAN
// interfaces have (net.ipv4.conf.eth0/100.rp_filter). Where the first to come is a slash it is the other way round, and a path.

const swapped = (text: string): string => text.replace(/[./]/g, (mark) => (mark === '.' ? '/' : '.'));

/** Below /proc/sys; undefined for what leads elsewhere, or nowhere. */
export function sysctlPath(key: string): string | undefined {
  const path = /^[^./]*\//.test(key) ? key : swapped(key);
  return path.split('/').some((part) => part === '' || part === '.' || part === '..') ? undefined : path;
}

/** The key of a path below /proc/sys. */
export const sysctlKey = (path: string): string => swapped(path);
