import { stringify } from 'yaml';
import { DESCRIPTION, GROUP, Job, KIND, Metadata, VERSION } from './schema/job.ts';
import { Spec } from './schema/spec.ts';
import { Status } from './schema/status.ts';
import { structural } from './structural.ts';

const PLURAL = 'fedbiotjobs';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: with `-o wide` only. */
  readonly priority?: 1;
}

const column = (name: string, type: Column['type'], jsonPath: string, description: string): Column => ({
  name,
  type,
  jsonPath,
  description,
});

const wide = (...what: Parameters<typeof column>): Column => ({ ...column(...what), priority: 1 });

/** What `kubectl get fedbiotjobs` shows. */
const COLUMNS = [
  column('Phase', 'string', '.status.phase', 'Phase of the job'),
  column('Round', 'string', '.status.roundText', 'Finished rounds of all rounds'),
  column(
    'Clients',
    'string',
    '.status.clientsText',
    'Clients of the current or last round that have reported, of those selected',
  ),
  column('ClientPods', 'string', '.status.clientPodsText', 'Client pods that are ready, of those wanted'),
  column('AdapFu', 'string', '.status.evaluation.adapFu.headline', 'Score of full model + adapter'),
  column('AdapEmu', 'string', '.status.evaluation.adapEmu.headline', 'Score of emulator + adapter'),
  column('Age', 'date', '.metadata.creationTimestamp', 'Time since the job was created'),
  wide('Method', 'string', '.spec.method', 'Training method'),
  wide('Base', 'string', '.status.evaluation.base.headline', 'Score of the unmodified full model'),
  wide('Alignment', 'number', '.status.alignmentLoss', 'Mean loss of the last alignment'),
  wide('Local', 'number', '.status.localLoss', 'Mean loss of the clients of the last finished round'),
  wide(
    'Dropped',
    'integer',
    '.status.clients.dropped',
    'Clients of the current or last round that did not report in time',
  ),
  wide(
    'Refused',
    'integer',
    '.status.clients.refused',
    'Clients of the current or last round whose result was refused',
  ),
  wide('Message', 'string', '.status.message', 'Why the job is in this phase'),
];

/** The CustomResourceDefinition for the API server. */
export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: KIND.toLowerCase(),
        shortNames: ['fbj'],
        categories: ['all'],
      },
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
                // The API server defines the rest of the metadata and allows no schema for it.
                metadata: { type: 'object', properties: { name: structural(Metadata.properties.name) } },
                spec: structural(Spec),
                // A tool that looks before the operator has sees that no generation was observed yet.
                status: { ...structural(Status), default: { observedGeneration: -1 } },
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
