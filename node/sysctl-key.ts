// Keys of kernel parameters, as sysctl(8) writes them. Dots separate the parts. A slash stands for a dot within a part, such as in the
// name of a VLAN interface (net.ipv4.conf.eth0/100.rp_filter). If a slash comes first, the text is a path, with both roles swapped.

const swapped = (text: string): string => text.replace(/[./]/g, (mark) => (mark === '.' ? '/' : '.'));

/** The path below /proc/sys; undefined if it has an empty part, `.` or `..`. */
export function sysctlPath(key: string): string | undefined {
  const path = /^[^./]*\//.test(key) ? key : swapped(key);
  return path.split('/').some((part) => part === '' || part === '.' || part === '..') ? undefined : path;
}

/** The key of a path below /proc/sys. */
export const sysctlKey = (path: string): string => swapped(path);
