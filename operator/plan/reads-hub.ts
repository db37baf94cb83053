import type { JobObject } from '../objects/job-object.ts';
import type { Role } from '../../crds/facts/role.ts';

const isOnHub = (uri: string | undefined) => uri?.startsWith('hf://') ?? false;

/** Whether a role reads anything from the Hugging Face hub. */
export function readsHub({ spec: { model, data } }: JobObject, role: Role): boolean {
  return role === 'client' ? isOnHub(data.train.uri) : [model.uri, data.public?.uri, data.eval?.uri].some(isOnHub);
}
