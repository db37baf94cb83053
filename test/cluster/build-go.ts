import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, readFile, readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** The oldest Go that compiles the module in hyperkube/. */
const OLDEST_GO = [1, 25] as const;

export interface Go {
  readonly program: string;
  /** As `go version` says it: "go1.26.8". */
  readonly version: string;
}

/** The machine's Go, or why it cannot be used. Its own place is looked at too: the installer leaves PATH to the user. */
export async function findGo(): Promise<Go | { readonly skip: string }> {
  for (const program of ['go', '/usr/local/go/bin/go']) {
    const version = (await run(program, ['env', 'GOVERSION'], { env: goEnvironment() }).catch(() => null))?.trim();
    if (version === undefined) continue;
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
    const found = [Number(major), Number(minor)] as const;
    if (found[0] > OLDEST_GO[0] || (found[0] === OLDEST_GO[0] && found[1] >= OLDEST_GO[1])) return { program, version };
    return { skip: `${program} is ${version}: Kubernetes needs Go ${OLDEST_GO.join('.')} or newer` };
  }
  return { skip: `no Go: Kubernetes is built from its modules with Go ${OLDEST_GO.join('.')} or newer, or set KUBEBUILDER_ASSETS` };
}

/** Twelve hex digits that name what a build of `source` with this Go would be. */
export async function buildId(source: string, go: Go, how: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([go.version, process.platform, process.arch, how]));
  const inputs = (await readdir(source)).filter((name) => /\.go$|^go\.(mod|sum)$/.test(name)).sort();
  for (const name of inputs) hash.update(`${name}\0`).update(await readFile(join(source, name)));
  return hash.digest('hex').slice(0, 12);
}

/** Fetches the modules of `source`; the reason when they cannot be had. */
export async function downloadModules(source: string, go: Go): Promise<{ readonly skip: string } | null> {
  try {
    await run(go.program, ['mod', 'download'], { cwd: source, env: goEnvironment() });
    return null;
  } catch (error) {
    return { skip: `the Go modules cannot be fetched: ${lastLine(error)}` };
  }
}

/**
 * Compiles the main package in `source` to the file `out`, with at most four compilers: the API types take up to 2 GiB each.
 * Throws with the compiler's words.
 */
export async function buildGo(source: string, go: Go, out: string, flags: readonly string[]): Promise<void> {
  const compilers = String(Math.min(4, availableParallelism()));
  await run(go.program, ['build', '-mod=readonly', '-trimpath', '-buildvcs=false', '-p', compilers, ...flags, '-o', out, '.'], {
    cwd: source,
    env: goEnvironment(),
  });
  await access(out);
}

/** The user's environment, but the Go that is there, static programs and no flags of other projects. */
function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '0' };
}

function lastLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).trim().split('\n').at(-1) ?? '';
}

/** Runs a program to its end and returns its standard output; throws with its standard error. */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-20_000)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ${args.slice(0, 3).join(' ')}: ${signal ?? `exit code ${code}`}\n${errors}`));
    });
  });
}
