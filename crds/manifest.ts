import { stringify } from 'yaml';
import { DESCRIPTION, GROUP, Job, KIND, Metadata, VERSION } from './schema/job.ts';
import { Spec } from './schema/spec.ts';
import { Status } from './schema/status.ts';
import { structural } from './structural.ts';

const PLURAL = 'fedbiotjobs';

const column = (name: string, type: string, jsonPath: string, description: string) => ({ name, type, jsonPath, description });

/** What `kubectl get fedbiotjobs` shows. */
const COLUMNS = [
  column('Phase', 'string', '.status.phase', 'Where the job stands'),
  column('Round', 'integer', '.status.round', 'Last finished round'),
  column('Clients', 'integer', '.status.clients.reported', 'Clients whose result the last finished round aggregated'),
  column('AdapFu', 'string', '.status.evaluation.adapFu.headline', 'Score of full model + adapter'),
  column('AdapEmu', 'string', '.status.evaluation.adapEmu.headline', 'Score of emulator + adapter'),
  column('Age', 'date', '.metadata.creationTimestamp', 'Time since the job was created'),
];

/** The CustomResourceDefinition as the API server takes it. */
export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind: KIND, listKind: `${KIND}List`, plural: PLURAL, singular: KIND.toLowerCase(), shortNames: ['fbj'] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: COLUMNS,
          schema: {
            openAPIV3Schema: {
              description: DESCRIPTION,
              type: 'object',
              required: ['spec'],
              properties: {
                apiVersion: structural(Job.properties.apiVersion),
                kind: structural(Job.properties.kind),
                // The API server owns the rest of the metadata, and allows no word about it.
                metadata: { type: 'object', properties: { name: structural(Metadata.properties.name) } },
                spec: structural(Spec),
                status: structural(Status),
              },
            },
          },
        },
      ],
    },
  };
}

/** The text of crds/fedbiotjob.yaml. */
export const manifestText = () =>
  `# Generated from crds/schema by \`npm run generate\`. Do not edit.\n${stringify(customResourceDefinition(), {
    lineWidth: 120,
    aliasDuplicateObjects: false,
  })}`;
