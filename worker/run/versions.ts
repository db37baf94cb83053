import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus } from 'node:os';
import { join } from 'node:path';
import type { Provider } from '../engine/compute-protocol.ts';
import { matrixProduct } from '../engine/matrix-product.ts';
import packageJson from '../../package.json' with { type: 'json' };

export const FEDBIOT_VERSION = packageJson.version;

/** Versions that a run's bits may depend on besides its inputs. */
export function versions(provider: Provider) {
  return {
    fedbiot: FEDBIOT_VERSION,
    node: process.versions.node,
    'onnxruntime-node': installedVersion('onnxruntime-node'),
    quantizedProduct: matrixProduct(provider),
    processor: `${cpus()[0]?.model ?? 'unknown'} (${arch()})`,
  };
}

/** The installed version; package.json only has a range. */
function installedVersion(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  const path = join(
    entry.slice(0, entry.lastIndexOf(join('node_modules', name))),
    'node_modules',
    name,
    'package.json',
  );
  const { version }: { version?: unknown } = JSON.parse(readFileSync(path, 'utf8'));
  return String(version);
}
