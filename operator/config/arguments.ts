import { InvalidArgumentError } from 'commander';
import { UserError } from '../../crds/facts/user-error.ts';
import { hubRoute } from '../../worker/cluster/hub-route.ts';

/** A DNS label (RFC 1123), as a namespace is. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export function namespaceName(text: string): string {
  if (!NAMESPACE.test(text)) throw new InvalidArgumentError(`${JSON.stringify(text)} is not the name of a namespace.`);
  return text;
}

export const namespaceList = (text: string): string[] => [
  ...new Set(text.split(',').map((name) => namespaceName(name.trim()))),
];

/** A key with its domain, or a domain and its slash. */
const ANNOTATION = /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?\/[-._A-Za-z0-9]*$/;

export function annotationList(text: string): string[] {
  return text.split(',').map((key) => {
    if (!ANNOTATION.test(key.trim()))
      throw new InvalidArgumentError(
        `${JSON.stringify(key)} is neither the key of an annotation with its domain, nor a domain and a slash.`,
      );
    return key.trim();
  });
}

export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };
}

/** Parses a variable of jobs' pods. It must hold no secret, as pod templates show it. */
export function hubVariable(name: string): (text: string) => string {
  return (text) => {
    try {
      const { proxy } = hubRoute({ [name]: text });
      if (proxy !== null && new URL(proxy).username !== '')
        throw new UserError('it contains credentials: a job can set those by env.valueFrom');
      return text;
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? `${error.message}.` : String(error));
    }
  };
}
