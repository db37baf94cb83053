import type { Look } from '../../panels/panels.ts';

export const SERVER: Look = { name: /server/, color: 'purple' };
export const CLIENT: Look = { name: /client/, color: 'green' };
