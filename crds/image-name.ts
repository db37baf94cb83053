/** The parts of an image reference, normalised. */
interface ImageName {
  /** Registry and repository: docker.io/library/redis. */
  readonly repository: string;
  /** `latest` if the reference has none. */
  readonly tag: string;
  /** sha256:…, which overrides the tag; null: none. */
  readonly digest: string | null;
}

/** The default registry, and its other names. */
const HUB = 'docker.io';
const HUB_ALIASES = ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/** Parses a reference as container runtimes do (distribution/reference). */
export function imageName(reference: string): ImageName {
  const [named = '', digest] = reference.split('@');
  const colon = named.lastIndexOf(':');
  const isTagged = colon > named.lastIndexOf('/');
  const path = isTagged ? named.slice(0, colon) : named;
  return {
    repository: repositoryOf(path),
    tag: isTagged ? named.slice(colon + 1) : 'latest',
    digest: digest === undefined ? null : digest.toLowerCase(),
  };
}

function repositoryOf(path: string): string {
  const slash = path.indexOf('/');
  const first = path.slice(0, Math.max(0, slash));
  const isRegistry = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const registry = (isRegistry ? first.toLowerCase() : HUB).replace(/:443$/, '');
  const rest = isRegistry ? path.slice(slash + 1) : path;
  if (registry !== HUB && !HUB_ALIASES.includes(registry)) return `${registry}/${rest}`;
  return `${HUB}/${rest.includes('/') ? rest : `library/${rest}`}`;
}

/** Whether two references may name the same image. A tag and a digest of one repository may. */
export function mayBeSameImage(a: string, b: string): boolean {
  const [one, other] = [imageName(a), imageName(b)];
  if (one.repository !== other.repository) return false;
  if (one.digest === null && other.digest === null) return one.tag === other.tag;
  return one.digest === null || other.digest === null || one.digest === other.digest;
}
