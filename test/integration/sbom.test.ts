import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../cluster/run.ts';
import type { Bill } from '../support/image-contents.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The second package of this project. */
const OPERATOR = 'fedbiot-operator';

const read = async (name: string) => JSON.parse(await readFile(join(ROOT, name), 'utf8'));

t.test('the list of packages has those that are shipped, each with its licence and hash', async (t) => {
  const file = join(ROOT, 'sbom.cdx.json');
  t.teardown(() => rm(file, { force: true }));
  await run(process.execPath, [join(ROOT, 'docker/sbom.ts')]);
  const bill: Bill = await read('sbom.cdx.json');
  const { version }: { version: string } = await read('package.json');
  t.match(bill, {
    bomFormat: 'CycloneDX',
    specVersion: /^1\.\d$/,
    metadata: { component: { type: 'application', name: 'fedbiot', purl: `pkg:npm/fedbiot@${version}` } },
  });

  const { packages }: { packages: Record<string, { dev?: boolean; link?: boolean; version: string }> } =
    await read('package-lock.json');
  const shipped = Object.entries(packages).filter(
    ([path, { dev, link }]) => path.includes('node_modules/') && dev !== true && link !== true,
  );
  const names = shipped.map(
    ([path, { version }]) => `${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`,
  );
  t.strictSame(
    [...new Set(bill.components.map(({ name, version }) => `${name}@${version}`))].sort(),
    [...new Set([...names, `${OPERATOR}@${version}`])].sort(),
  );
  const fetched = bill.components.filter(({ name }) => name !== OPERATOR);
  t.strictSame(
    fetched.filter(
      ({ purl, licenses, hashes }) => !purl?.startsWith('pkg:npm/') || !licenses?.length || !hashes?.length,
    ),
    [],
  );
});
