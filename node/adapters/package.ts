// The location and version of this package, which runs from sources or from its bundle.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';

const manifestSchema = z.object({ name: z.string(), version: z.string() });

export interface Package {
  root: string;
  /** Root of the machine’s own package, with the native parts; a release of the swarm has another root. */
  home: string;
  version: string;
  /** Version of the machine’s own package, which is that of its actuator and launcher. */
  homeVersion: string;
  addonPath: string;
  actuatorPath: string;
  /** The `kalos` command of the machine’s own package. */
  launcherPath: string;
  modelPath: string;
  /** Directory of the shipped policies. */
  policies: string;
  /** Directory of the shipped scenarios. */
  scenarios: string;
}

const versionIn = (directory: string): string =>
  manifestSchema.parse(JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))).version;

/** @throws if there is no package.json of kalos above this file. */
export function findPackage(): Package {
  for (let root = import.meta.dirname; ; root = dirname(root)) {
    const path = join(root, 'package.json');
    const manifest = existsSync(path) ? manifestSchema.safeParse(JSON.parse(readFileSync(path, 'utf8'))) : undefined;
    if (manifest?.data?.name === 'kalos') {
      const home = process.env.KALOS_PACKAGE ?? root;
      const built = (name: string): string => join(home, 'native', 'build', name);
      return {
        root,
        home,
        version: manifest.data.version,
        homeVersion: home === root ? manifest.data.version : versionIn(home),
        addonPath: built('kalos.node'),
        actuatorPath: built('kalos-actuator'),
        launcherPath: join(home, 'bin', 'kalos'),
        modelPath: join(root, 'models', 'artifacts', 'incident.onnx'),
        policies: join(root, 'node', 'detection', 'policies'),
        scenarios: join(root, 'sim', 'scenarios'),
      };
    }
    if (root === dirname(root)) throw new Error(`no package.json of kalos above ${import.meta.dirname}`);
  }
}
