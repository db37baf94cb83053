/**
 * Writes what the chart has from elsewhere: the definition of FedBiOTJob, and in its README the values that values.yaml
 * describes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { README, readmeText } from './readme.ts';
import { CRD_SPEC, crdSpecText } from './crd-spec.ts';

writeFileSync(CRD_SPEC, crdSpecText());
writeFileSync(README, readmeText(readFileSync(README, 'utf8')));
