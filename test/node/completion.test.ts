// Help and completion, from the tree of commands: groups with the common ones first, and in bash itself, values as an agent knows them, and files.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GROUPS } from '../../bin/edges.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { valueIn } from '../../node/cli/complete.ts';
import { completion } from '../../node/cli/completion.ts';
import { makeStateDirectory, stateDirectory } from '../../node/config/adapters/state-directory.ts';
import { kalos } from '../support/agents.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-completion-'));
const KALOS = join(findPackage().root, 'bin', 'kalos');
const script = join(place, 'bash');
const silent = join(place, 'silent');
const planted = join(place, 'planted');
const ANSWERS: Record<string, unknown> = {
  '/v1/members/all': [
    { name: 'web-1', state: 'alive' },
    { name: 'web-2', state: 'left' },
    { name: 'gone', state: 'removed' },
    { name: `$(touch\t${planted})`, state: 'alive' },
    { name: `\`touch\${IFS}${planted}\``, state: 'alive' },
  ],
  '/v1/policies': [{ policy: { name: 'disk-full' } }, { policy: { name: 'cpu-pressure' } }],
  '/v1/status': { services: [{ name: 'web' }, { name: 'db' }], approvals: [{ id: 'act-1' }], silences: [{ id: 's-1' }] },
  '/v1/questions': Array.from({ length: 300 }, (_, i) => ({ name: `question-${i}` })),
  '/v1/tools': [{ name: 'service.restart' }],
  '/v1/query': { rows: [['inc-0123456789']] },
};
const agent = createServer((request, response) => {
  const answer = ANSWERS[request.url ?? ''];
  response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
});
/** It takes connections, and never answers. */
const hanging = createServer(() => undefined);
let help = '';

beforeAll(async () => {
  for (const [server, directory] of [
    [agent, place],
    [hanging, silent],
  ] as const) {
    makeStateDirectory(stateDirectory(directory));
    await new Promise<void>((resolve) => server.listen(stateDirectory(directory).socket, resolve));
  }
  const [shown, completion] = await Promise.all([kalos('--help'), kalos('completion', 'bash')]);
  help = shown.stdout;
  writeFileSync(script, completion.stdout);
});
afterAll(() => {
  for (const server of [agent, hanging]) server.close().closeAllConnections();
  rmSync(place, { recursive: true });
});

/** What bash completes these words with. */
function complete(directory: string, ...words: string[]): Promise<string[]> {
  const line = `source ${script}; COMP_WORDS=(${KALOS} "$@"); COMP_CWORD=$#; _kalos; printf '%s\\n' "\${COMPREPLY[@]}"`;
  // Nothing that this machine has bash read first.
  const env = { PATH: process.env.PATH, KALOS_DIR: directory };
  return new Promise((resolve, reject) =>
    execFile('bash', ['--norc', '-c', line, 'x', ...words], { env, cwd: place }, (error, stdout, stderr) =>
      error === null && stderr === '' ? resolve(stdout.split('\n').filter((one) => one !== '')) : reject(new Error(stderr)),
    ),
  );
}

describe('help', () => {
  it('has every command in one group, those that are needed first before the others', () => {
    const sections = [...help.matchAll(/^(\S.*:)\n((?: {2,}.*\n?)+)/gm)].map(([, heading, body = '']) => [
      heading,
      [...body.matchAll(/^ {2}([a-z][\w-]*)/gm)].map(([, name]) => name),
    ]);
    expect(sections.filter(([heading]) => heading !== 'Options:')).toEqual(
      GROUPS.map(([heading, names]) => [heading, [...names]]),
    );
    expect(GROUPS[0]?.[0]).toBe('Start here:');
    expect(Math.max(...GROUPS.map(([, names]) => names.length))).toBeLessThanOrEqual(10);
  });
});

describe('completion in bash', () => {
  it('knows members, policies, incidents, services, tools … as the agent does', async () => {
    const cases: [string[], string[]][] = [
      [
        ['members', 'show', ''],
        ['web-1', 'web-2'],
      ],
      [['pause', 'web-2'], ['web-2']],
      [
        ['query', '--on', ''],
        ['web-1', 'web-2'],
      ],
      [['grant', 'act', '--node', 'web-', '--tool', ''], ['service.restart']],
      [['explain', ''], ['inc-0123456789']],
      [['policy', 'show', 'd'], ['disk-full']],
      [['silence', '--policy', '', '--target', 'w'], ['web']],
      [
        ['logs', ''],
        ['web', 'db'],
      ],
      [['approve', ''], ['act-1']],
      [['members', 'rename', 'web-1', ''], []],
    ];
    for (const [words, values] of cases) expect([words, await complete(place, ...words)]).toEqual([words, values]);
    expect(await complete(place, 'query', '--ask', '')).toHaveLength(200);
    // A name is data: no shell runs it.
    expect(existsSync(planted)).toBe(false);
  });

  it('knows what needs no agent, with or without one, and says nothing where none answers', async () => {
    const nowhere = join(place, 'nowhere');
    expect(await complete(nowhere, 'tables', 'nod')).toEqual(['nodes']);
    expect(await complete(nowhere, 'watch', 'in')).toEqual(['incidents']);
    expect(await complete(nowhere, 'sim', 'run', 'ca')).toEqual(['calm']);
    expect(await complete(nowhere, 'members', 'show', '')).toEqual([]);
    expect(await complete(silent, 'members', 'show', '')).toEqual([]);
    expect(await complete(nowhere, '--dir', place, 'members', 'show', '')).toEqual(['web-1', 'web-2']);
  });

  it('knows forms, levels and shells, also behind =, and files', async () => {
    const forms = ['table', 'wide', 'json', 'yaml', 'csv'];
    expect(await complete(place, 'status', '-o', '')).toEqual(forms);
    expect(await complete(place, 'status', '--output', '=')).toEqual(forms);
    expect(await complete(place, 'status', '--output', '=', 'j')).toEqual(['json']);
    expect(await complete(place, 'log', 'agent', '--level', 'w')).toEqual(['warn']);
    expect(await complete(place, 'completion', '')).toEqual(['bash', 'zsh', 'fish']);
    writeFileSync(join(place, 'a file.toml'), '');
    expect(await complete(place, 'policy', 'apply', 'a')).toContain('a file.toml');
    expect(await complete(place, 'config', 'show', '--config', join(place, 'a'))).toContain(join(place, 'a file.toml'));
    expect(await complete(place, 'silence', '--for', '')).toEqual([]);
    expect(await complete(place, 'policy', 'show', '--')).toEqual(expect.arrayContaining(['--dir', '--output']));
  });

  it('is the same in fish; and each value that help names has its source, or no script is made', async () => {
    const { code, stdout } = await kalos('completion', 'fish');
    expect(code).toBe(0);
    expect(stdout).toContain(
      "-l policy -d 'policy, such as service-exited' -x -a '(kalos __complete policy -- (commandline -opc))'",
    );
    expect(stdout).toMatch(/-l config -d '.*' -r -F\n/);
    const command = { name: 'kalos', description: '', usage: '', notes: '', commands: [], options: [] };
    const unknown = { name: 'thing', description: '', choices: [], isVariadic: false };
    expect(() => completion({ ...command, arguments: [unknown] }, 'bash')).toThrow('<thing>');
  });

  it('finds options of the line in every form', () => {
    expect([
      valueIn(['--dir', 'a'], '--dir'),
      valueIn(['--dir=b'], '--dir'),
      valueIn(['--dir', '=', 'c'], '--dir'),
      valueIn(['x'], '--dir'),
    ]).toEqual(['a', 'b', 'c', undefined]);
  });
});
