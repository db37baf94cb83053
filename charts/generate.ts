/**
 * Generates the chart's copy of the CRD, and the table of values in its README from values.yaml.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { README, readmeText } from './readme.ts';
import { CRD_SPEC, crdSpecText } from './crd-spec.ts';

writeFileSync(CRD_SPEC, crdSpecText());
writeFileSync(README, readmeText(readFileSync(README, 'utf8')));
