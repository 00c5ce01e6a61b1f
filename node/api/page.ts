// The files of the page, read once from the package.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPackage } from '../adapters/package.ts';

const FILES: Record<string, { name: string; type: string }> = {
  '/': { name: 'index.html', type: 'text/html; charset=utf-8' },
  '/app.js': { name: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/icon.svg': { name: 'icon.svg', type: 'image/svg+xml' },
  '/style.css': { name: 'style.css', type: 'text/css; charset=utf-8' },
};
const read = new Map<string, Buffer>();

export function pageFile(path: string): { content: Buffer; type: string } | undefined {
  const file = FILES[path];
  if (file === undefined) return undefined;
  const content = read.get(path) ?? readFileSync(join(findPackage().root, 'node', 'page', file.name));
  read.set(path, content);
  return { content, type: file.type };
}
