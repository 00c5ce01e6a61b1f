// The sources as they were when the bench began: what is edited meanwhile does not mix with it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export class Sources {
  readonly root: string;
  readonly #texts = new Map<string, string>();
  readonly #imports = new Map<string, readonly string[]>();

  constructor(root: string) {
    this.root = root;
  }

  text(path: string): string {
    const text = this.#texts.get(path) ?? readFileSync(join(this.root, path), 'utf8');
    this.#texts.set(path, text);
    return text;
  }

  /** In a room, by how their names end, sorted. */
  files(room: string, ending: string): string[] {
    return readdirSync(join(this.root, room), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
      .map((entry) => relative(this.root, join(entry.parentPath, entry.name)))
      .sort();
  }

  importsOf(path: string): readonly string[] {
    const known = this.#imports.get(path);
    if (known !== undefined) return known;
    const found = [...this.text(path).matchAll(/(?:from|import\(|import)\s*'(\.[^']+\.ts)'/g)]
      .map((match) => relative(this.root, join(this.root, dirname(path), match[1] ?? '')))
      .filter((target) => existsSync(join(this.root, target)));
    this.#imports.set(path, found);
    return found;
  }

  /** All that a file imports, itself included. */
  closureOf(path: string): Set<string> {
    const closure = new Set([path]);
    for (const known of closure) for (const target of this.importsOf(known)) closure.add(target);
    return closure;
  }
}
