/** Writes what is generated from the schema: the CRD manifest and the field reference. */
import { writeFileSync } from 'node:fs';
import { manifestText } from './manifest.ts';
import { referenceText } from './reference.ts';

writeFileSync(new URL('fedbiotjob.yaml', import.meta.url), manifestText());
writeFileSync(new URL('../docs/api.md', import.meta.url), referenceText());
