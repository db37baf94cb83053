import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/**
 * A program of this machine, to be stored at `place` in the image, with the shared libraries that it and name lookup
 * need.
 */
export async function addProgram(root: string, program: string, place: string): Promise<void> {
  await copyFile(program, join(root, place));
  const linked = await copyLibraries(root, program);
  const folder = linked.map(dirname).find((path) => path !== '/lib64');
  const lookup = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'];
  if (folder !== undefined)
    for (const name of lookup) await copyFile(join(folder, name), join(root, folder, name)).catch(() => {});
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n');
}

/** Copies the shared libraries of `file` to the same paths, and returns their paths; none for a static program. */
async function copyLibraries(root: string, file: string): Promise<readonly string[]> {
  const { stdout } = await exec('ldd', [file]).catch(() => ({ stdout: '' }));
  const linked = (stdout.match(/\/[^ )\n]+(?= \()/g) ?? []).filter(
    (path) => path.startsWith('/lib') || path.startsWith('/usr/lib'),
  );
  for (const path of linked) await copyFile(path, join(root, path));
  return linked;
}

async function copyFile(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { dereference: true });
}
