import { join } from 'node:path';

export const CHART = join(import.meta.dirname, '../../charts/fedbiot');

/** The namespace that documents install it in. */
export const SYSTEM = 'fedbiot-system';
