import { createHash } from 'node:crypto';
import { access, readFile, readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from './run.ts';

export interface Go {
  readonly program: string;
  /** In the form of `go version`: "go1.26.8". */
  readonly version: string;
}

/**
 * The machine's Go if it can build the module in `source`, or why it cannot. Go's default folder is searched as well,
 * because its installer does not change PATH.
 */
export async function findGo(source: string): Promise<Go | { readonly skip: string }> {
  const oldest = await oldestGo(source);
  for (const program of ['go', '/usr/local/go/bin/go']) {
    const version = (await run(program, ['env', 'GOVERSION'], { env: goEnvironment() }).catch(() => null))?.trim();
    if (version === undefined) continue;
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
    const found = [Number(major), Number(minor)] as const;
    if (found[0] > oldest[0] || (found[0] === oldest[0] && found[1] >= oldest[1])) return { program, version };
    return { skip: `${program} is ${version}: it is built with Go ${oldest.join('.')} or newer` };
  }
  return { skip: `there is no Go: it is built from its modules with Go ${oldest.join('.')} or newer` };
}

/** The contents of go.mod. */
async function oldestGo(source: string): Promise<readonly [number, number]> {
  const [, major, minor] = /^go (\d+)\.(\d+)/m.exec(await readFile(join(source, 'go.mod'), 'utf8')) ?? [];
  if (major === undefined || minor === undefined) throw new Error(`${source}/go.mod names no version of Go`);
  return [Number(major), Number(minor)];
}

/** Twelve hex digits that identify the build of `source` with this Go. */
export async function buildId(source: string, go: Go, how: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([go.version, process.platform, process.arch, how]));
  const inputs = (await readdir(source)).filter((name) => /\.go$|^go\.(mod|sum)$/.test(name)).sort();
  for (const name of inputs) hash.update(`${name}\0`).update(await readFile(join(source, name)));
  return hash.digest('hex').slice(0, 12);
}

/** Downloads the modules of `source`. Returns the reason if they are not available. */
export async function downloadModules(source: string, go: Go): Promise<{ readonly skip: string } | null> {
  try {
    await run(go.program, ['mod', 'download'], { cwd: source, env: goEnvironment() });
    return null;
  } catch (error) {
    return { skip: `the Go modules cannot be fetched: ${lastLine(error)}` };
  }
}

/** The folder of a module that `source` needs. */
export const moduleFolder = async (source: string, go: Go, module: string): Promise<string> =>
  (await run(go.program, ['list', '-m', '-f', '{{.Dir}}', module], { cwd: source, env: goEnvironment() })).trim();

/**
 * Compiles a main package of the module in `source` to the file `out`, by default the one in `source` itself, with at
 * most four compilers, because the API types take up to 2 GiB each. Throws with the compiler's output.
 */
export async function buildGo(
  source: string,
  go: Go,
  out: string,
  flags: readonly string[],
  main = '.',
): Promise<void> {
  const compilers = String(Math.min(4, availableParallelism()));
  await run(
    go.program,
    ['build', '-mod=readonly', '-trimpath', '-buildvcs=false', '-p', compilers, ...flags, '-o', out, main],
    {
      cwd: source,
      env: goEnvironment(),
    },
  );
  await access(out);
}

/** The user's environment, with this Go, static linking, and no flags of other projects. */
function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '0' };
}

function lastLine(error: unknown): string {
  return (
    String(error instanceof Error ? error.message : error)
      .trim()
      .split('\n')
      .at(-1) ?? ''
  );
}
