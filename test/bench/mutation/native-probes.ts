// Marks which statements of the C++ sources run, as probes.ts does: each sets a byte of a file that the test sees as it is written, from
// whatever process, however that ends.
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { addonFlags, isActuator, nativeUnits, statementsIn } from './native.ts';
import type { Sources } from './sources.ts';

const execute = promisify(execFile);
const BUILT = join('native', 'build');

const HEADER = `extern "C" { extern volatile unsigned char *km_hits; }
#define KM(n) (__builtin_is_constant_evaluated() ? 0 : (km_hits[n] = 1))
`;
const source = (count: number): string => `#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static unsigned char unseen[${count}];
extern "C" { volatile unsigned char *km_hits = unseen; }
__attribute__((constructor(101))) static void km_open() {
	const char *path = getenv("KALOS_NATIVE_HITS");
	int fd = path == nullptr ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *mapped = mmap(nullptr, ${count}, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		km_hits = static_cast<unsigned char *>(mapped);
}
`;

/** Programs with probes. @returns `path:line` of each, in the order of their numbers. */
export async function buildProbed(sources: Sources, directory: string): Promise<string[]> {
  mkdirSync(directory, { recursive: true });
  const at = (name: string): string => join(directory, name);
  const units = nativeUnits(sources);
  const where: string[] = [];
  for (const unit of units) {
    const text = sources.text(unit).split('\n');
    for (const { line, start, end } of statementsIn(sources.text(unit))) {
      const code = text[line - 1] ?? '';
      text[line - 1] = `${code.slice(0, start)}{KM(${where.length});${code.slice(start, end)}}${code.slice(end)}`;
      where.push(`${unit}:${line}`);
    }
    writeFileSync(at(basename(unit)), text.join('\n'));
  }
  writeFileSync(at('km.h'), HEADER);
  writeFileSync(at('km.cc'), source(Math.max(1, where.length)));
  const compile = (unit: string, object: string, ...more: string[]): Promise<unknown> =>
    execute('g++', [
      '-std=c++17',
      '-O0',
      '-w',
      '-include',
      at('km.h'),
      ...addonFlags(sources.root),
      ...more,
      '-c',
      at(basename(unit)),
      '-o',
      at(object),
    ]);
  await compile('km.cc', 'km.o');
  const objects = [at('km.o')];
  for (const unit of units) {
    const object = `${basename(unit, '.cc')}.o`;
    await compile(unit, object);
    if (isActuator(unit)) objects.push(at(object));
    else await execute('g++', ['-shared', at('km.o'), at(object), '-o', at('kalos.node')]);
  }
  await execute('g++', [...objects, '-o', at('kalos-actuator')]);
  return where;
}

export function installProbed(directory: string, copy: string): void {
  for (const [made, as] of [
    ['kalos-actuator', 'kalos-actuator'],
    ['kalos-actuator', 'kalos-actuator.sanitized'],
    ['kalos.node', 'kalos.node'],
  ] as const)
    copyFileSync(join(directory, made), join(copy, BUILT, as));
}
