/** Of a key `namespace/name`. */
export const namespaceOf = (key: string): string => key.slice(0, Math.max(0, key.indexOf('/')));
