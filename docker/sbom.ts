// Writes sbom.cdx.json: what is shipped of package-lock.json, as CycloneDX. `npm sbom --omit=dev` would leave out what
// development needs as well.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

interface Package {
  readonly dev?: boolean;
  readonly devDependencies?: object;
}

interface Component {
  readonly 'bom-ref': string;
  name: string;
}

const { devDependencies: _, ...manifest }: Package = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const lock: { packages: Record<string, Package> } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
const shipped = Object.entries(lock.packages).filter(([, { dev }]) => dev !== true);
const packages = Object.fromEntries(
  shipped.map(([path, entry]) => [path, path === '' ? { ...entry, devDependencies: {} } : entry]),
);

const folder = mkdtempSync(join(tmpdir(), 'fedbiot-sbom-'));
try {
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
  cpSync(join(ROOT, 'operator/package.json'), join(folder, 'operator/package.json'));
  const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
  const bill: { metadata: { component: Component }; components: Component[] } = JSON.parse(
    execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }),
  );
  // npm gives this project's packages the names of their folders.
  for (const component of [bill.metadata.component, ...bill.components])
    component.name = component['bom-ref'].replace(/@[^@]*$/, '');
  writeFileSync(join(ROOT, 'sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
