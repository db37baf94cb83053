import { readFileSync } from 'node:fs';
import t from 'tap';

/** Licences of production packages: permissive ones that require only attribution. */
const ACCEPTED = [
  'MIT',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  '0BSD',
  'BlueOak-1.0.0',
  'PSF-2.0',
  'Unlicense',
  'CC0-1.0',
];

interface Locked {
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly license?: string;
}

t.test('every shipped package has an accepted licence', async (t) => {
  const { packages }: { packages: Record<string, Locked> } = JSON.parse(
    readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8'),
  );
  const shipped = Object.entries(packages).filter(
    ([path, { dev, link }]) => path !== '' && dev !== true && link !== true,
  );
  t.ok(shipped.length > 100, `${shipped.length} packages`);
  for (const [path, { license = 'none' }] of shipped) {
    // "(MIT OR CC0-1.0)": one accepted licence is enough.
    const choices = license.replaceAll(/[()]/g, '').split(' OR ');
    t.ok(
      choices.some((choice) => ACCEPTED.includes(choice)),
      `${path}: ${license}`,
    );
  }
});
