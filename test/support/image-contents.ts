import { lstat, readFile, readdir } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join, relative } from 'node:path';
import type { ImageRoot } from './image-root.ts';

export interface ImageFile {
  /** Path from the image's root. */
  readonly path: string;
  readonly bytes: number;
  readonly executable: boolean;
}

/** An image's regular files. */
export async function filesOf({ folder }: ImageRoot): Promise<readonly ImageFile[]> {
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  return await Promise.all(
    entries.map(async ({ parentPath, name }) => {
      const { size, mode } = await lstat(join(parentPath, name));
      return { path: relative(folder, join(parentPath, name)), bytes: size, executable: (mode & 0o111) !== 0 };
    }),
  );
}

/** The installed packages below a folder, including nested ones: path → name@version. */
export async function packagesIn(folder: string, place = 'node_modules'): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const names = await readdir(join(folder, place)).catch(() => []);
  for (const name of names.filter((name) => !name.startsWith('.'))) {
    const path = `${place}/${name}`;
    if (name.startsWith('@')) {
      for (const [inner, what] of await packagesIn(folder, path)) found.set(inner, what);
      continue;
    }
    const manifest: { name: string; version: string } = JSON.parse(
      await readFile(join(folder, path, 'package.json'), 'utf8'),
    );
    found.set(path, `${manifest.name}@${manifest.version}`);
    for (const [inner, what] of await packagesIn(folder, `${path}/node_modules`)) found.set(inner, what);
  }
  return found;
}

/** The processor of an ELF file; null for any other file. */
export async function machineOf(path: string): Promise<number | null> {
  const bytes = await readFile(path);
  if (bytes.toString('latin1', 0, 4) !== '\x7fELF') return null;
  return endianness() === 'LE' ? bytes.readUInt16LE(18) : bytes.readUInt16BE(18);
}

/** The parts of a CycloneDX list of components that tests read. */
export interface Bill {
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly purl?: string;
    readonly licenses?: readonly unknown[];
    readonly hashes?: readonly unknown[];
  }[];
}
