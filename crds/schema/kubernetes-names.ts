import { string } from '../json-schema/fields.ts';

/** A DNS label; its length is limited separately. */
export const LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

/** A DNS subdomain: labels joined by dots, the form of most names in Kubernetes. */
const SUBDOMAIN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

export const label = (description: string, maxLength = 63) => string(description, { maxLength, pattern: LABEL });

/** Name of another Kubernetes object. */
export const objectName = (description: string) => string(description, { maxLength: 253, pattern: SUBDOMAIN });

/** Reference of a container image, with optional registry, tag and digest. */
export const imageReference = (description: string) =>
  string(description, { maxLength: 1024, pattern: '^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$' });

/** Key of a ConfigMap or a Secret. */
export const dataKey = (description: string, preset?: string) =>
  string(description, {
    maxLength: 253,
    pattern: '^[-._a-zA-Z0-9]+$',
    ...(preset === undefined ? {} : { default: preset }),
  });
