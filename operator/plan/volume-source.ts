import { isRecord } from '../../crds/json-schema/node.ts';
import { InvalidSpec } from './invalid-spec.ts';

/** Kinds of volumes that the restricted pod security standard allows and that contain no API credentials. */
const SOURCES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'secret',
];

/** Drivers whose inline volumes are secrets and certificates. Other drivers could mount a share of the other role. */
const DRIVERS = ['secrets-store.csi.k8s.io', 'csi.cert-manager.io', 'csi.spiffe.io'];

/**
 * Allowed fields of an ephemeral claim. A data source, a selector or an annotation for the provisioner could select a
 * volume of the other role.
 */
const CLAIM = {
  template: ['metadata', 'spec'],
  metadata: ['labels'],
  spec: ['accessModes', 'resources', 'storageClassName', 'volumeAttributesClassName', 'volumeMode'],
};

type Fields = Readonly<Record<string, unknown>>;

/**
 * Checks the source of a volume in a podTemplate.
 * @throws InvalidSpec for a field that could bypass the isolation of the roles
 */
export function checkSource(sources: Fields, credentials: string, path: string): void {
  const kinds = Object.keys(sources);
  const refused = kinds.find((kind) => !SOURCES.includes(kind));
  if (refused !== undefined)
    throw new InvalidSpec(`${path}.${refused}`, `may not be set; allowed are ${SOURCES.join(', ')}`);
  const [kind] = kinds;
  if (kind === undefined || kinds.length !== 1)
    throw new InvalidSpec(path, `must have exactly one of ${SOURCES.join(', ')}`);
  const source = fields(sources[kind], `${path}.${kind}`);
  if (kind === 'ephemeral') checkClaim(source, `${path}.ephemeral`);
  if (kind === 'csi') checkDriver(source, credentials, `${path}.csi`);
  if (kind === 'secret' && source['secretName'] === credentials)
    throw new InvalidSpec(path, "is the Secret with the job's own credentials");
}

function checkClaim(source: Fields, path: string): void {
  only(source, ['volumeClaimTemplate'], path);
  const at = `${path}.volumeClaimTemplate`;
  const template = only(source['volumeClaimTemplate'] ?? {}, CLAIM.template, at);
  only(template['metadata'] ?? {}, CLAIM.metadata, `${at}.metadata`);
  only(template['spec'] ?? {}, CLAIM.spec, `${at}.spec`);
}

function checkDriver({ driver, nodePublishSecretRef }: Fields, credentials: string, path: string): void {
  if (typeof driver !== 'string' || !DRIVERS.includes(driver)) {
    throw new InvalidSpec(
      `${path}.driver`,
      `must be one of ${DRIVERS.join(', ')}; for another driver, use a persistentVolumeClaim`,
    );
  }
  if (isRecord(nodePublishSecretRef) && nodePublishSecretRef['name'] === credentials) {
    throw new InvalidSpec(`${path}.nodePublishSecretRef`, "is the Secret with the job's own credentials");
  }
}

function only(value: unknown, names: readonly string[], path: string): Fields {
  const found = fields(value, path);
  const refused = Object.keys(found).find((name) => !names.includes(name));
  if (refused !== undefined)
    throw new InvalidSpec(`${path}.${refused}`, `may not be set; allowed are ${names.join(', ')}`);
  return found;
}

function fields(value: unknown, path: string): Fields {
  if (!isRecord(value)) throw new InvalidSpec(path, 'must be an object');
  return value;
}
