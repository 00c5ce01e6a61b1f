// What the command line prints for programs: JSON or YAML. Apart from output.ts, so that an agent does not load a YAML library.
import { stringify } from 'yaml';
import type { Format } from './output.ts';

/** Machine-readable output carries a version, so that scripts can tell when its shape changes. */
const OUTPUT_VERSION = 1;

export function printData(format: Exclude<Format, 'table'>, data: Record<string, unknown>): void {
  const versioned = { outputVersion: OUTPUT_VERSION, ...data };
  process.stdout.write(format === 'json' ? `${JSON.stringify(versioned, null, 2)}\n` : stringify(versioned));
}
