import { string } from '../json-schema/fields.ts';

/** A DNS label, but for its length. */
export const LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

/** Labels joined by dots: what most Kubernetes objects are called by. */
const SUBDOMAIN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

export const label = (description: string, maxLength = 63) => string(description, { maxLength, pattern: LABEL });

/** Name of another Kubernetes object. */
export const objectName = (description: string) => string(description, { maxLength: 253, pattern: SUBDOMAIN });

/** Reference of a container image, with registry, tag and digest as wanted. */
export const imageReference = (description: string) =>
  string(description, { maxLength: 1024, pattern: '^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$' });

/** Key of a ConfigMap or a Secret. */
export const dataKey = (description: string, preset?: string) =>
  string(description, {
    maxLength: 253,
    pattern: '^[-._a-zA-Z0-9]+$',
    ...(preset === undefined ? {} : { default: preset }),
  });
