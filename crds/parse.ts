import { UserError } from './facts/user-error.ts';
import { readYaml } from './yaml-document.ts';
import { volumeProblems } from './pod-volumes.ts';
import { resolvePresets } from './presets.ts';
import { isRecord, pathText } from './json-schema/node.ts';
import type { FedBiOTJob } from './types.ts';
import { MAX_SHOWN, validate } from './validate.ts';

export interface ManifestProblem {
  /** `spec.federation.local.optimizer.betas[0]`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** Line of the field, or of the nearest enclosing one, from 1. */
  readonly line: number;
}

/** An invalid manifest, with all its problems. */
export class ManifestError extends UserError {
  override readonly name = 'ManifestError';
  readonly problems: readonly ManifestProblem[];

  constructor(source: string, problems: readonly ManifestProblem[]) {
    const lines = problems
      .slice(0, MAX_SHOWN)
      .map(({ path, message, line }) => `  line ${line}: ${path}${path === '' ? '' : ': '}${message}`);
    const more = problems.length - lines.length;
    super(`${source} is not a valid FedBiOTJob:\n${lines.join('\n')}${more === 0 ? '' : `\n  … and ${more} more`}`, {
      hint: 'docs/api.md describes every field.',
    });
    this.problems = problems;
  }
}

/** Metadata that the API server adds: `kubectl get -o yaml` prints it, and it does not affect the run. */
const SERVER_METADATA = new Set([
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'finalizers',
  'ownerReferences',
  'selfLink',
]);

function asWritten(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const { status: _, ...job } = value;
  if (!isRecord(job['metadata'])) return job;
  const metadata = Object.entries(job['metadata']).filter(([name]) => !SERVER_METADATA.has(name));
  return { ...job, metadata: Object.fromEntries(metadata) };
}

/**
 * Reads a job from YAML (or JSON) and fills in every default. `source` names the text in error messages.
 * @param options.forCluster refuse also what only the operator would refuse, of which a schema cannot say it
 * @throws ManifestError with every problem: syntax errors; if there are none, unknown fields, types, ranges and rules,
 *   which the API server checks too
 */
export function parseManifest(text: string, source: string, { forCluster = false } = {}): FedBiOTJob {
  const yaml = readYaml(text);
  if ('problems' in yaml)
    throw new ManifestError(
      source,
      yaml.problems.map((problem) => ({ path: '', ...problem })),
    );
  const result = validate(asWritten(yaml.value));
  const refused = 'problems' in result ? result.problems : forCluster ? volumeProblems(result.job) : [];
  if ('problems' in result || refused.length > 0) {
    const problems = refused.map(({ path, message }) => ({ path: pathText(path), message, line: yaml.lineOf(path) }));
    throw new ManifestError(
      source,
      problems.sort((a, b) => a.line - b.line),
    );
  }
  const { apiVersion, kind, metadata, spec } = result.job;
  return { apiVersion, kind, metadata, spec: resolvePresets(spec) };
}
