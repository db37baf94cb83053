import { stringify } from 'yaml';
import { customResourceDefinition } from '../crds/manifest.ts';

export const CRD_SPEC = new URL('fedbiot/files/crd-spec.yaml', import.meta.url);

/** The `spec` of the CustomResourceDefinition; a template adds the metadata. */
export const crdSpecText = (): string =>
  `# Generated from crds/schema by \`npm run generate\`. Do not edit.\n${stringify(
    { spec: customResourceDefinition().spec },
    {
      lineWidth: 120,
      aliasDuplicateObjects: false,
    },
  )}`;
