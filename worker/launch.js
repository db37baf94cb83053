#!/usr/bin/env node
// The command `fedbiot`, in plain JavaScript so that any Node can start it. The program needs Node 22.18. A checkout
// contains TypeScript, which Node runs directly; a package contains the JavaScript that `npm pack` compiles. An older
// Node starts the one that is installed with the project's packages.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = new URL('./fedbiot.ts', import.meta.url);
const program = existsSync(sources) ? sources : new URL('../dist/worker/fedbiot.js', import.meta.url);

if (process.features.typescript) {
  await import(program.href);
} else {
  const node = ownNode();
  if (node === null) {
    process.stderr.write(
      `error: fedbiot needs Node 22.18 or newer, this is ${process.version}\nhint: Install a newer Node. In a checkout, \`npm ci\` installs one.\n`,
    );
    process.exitCode = 2;
  } else {
    handOver(node);
  }
}

function ownNode() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('node/package.json'));
    const path = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

function handOver(node) {
  const child = spawn(node, [fileURLToPath(program), ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C reaches both processes. The program handles it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', (error) => {
    process.stderr.write(`error: cannot start ${node}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (signal === 'SIGABRT') {
      // V8 aborts when the heap is full, and prints only its internal message.
      process.stderr.write(
        'error: the program was aborted, most likely because Node’s heap was full\n' +
          'hint: Use fewer records, or set NODE_OPTIONS=--max-old-space-size= with more MiB. Continue a run with --resume.\n',
      );
      // As for any lack of memory (crds/facts/exit-codes.ts).
      process.exitCode = 71;
    } else if (signal !== null) process.removeAllListeners(signal).kill(process.pid, signal);
    else process.exitCode = code ?? 1;
  });
}
