import { join } from 'node:path';

export const CHART = join(import.meta.dirname, '../../charts/fedbiot');

/** The namespace in which the documents install the chart. */
export const SYSTEM = 'fedbiot-system';
