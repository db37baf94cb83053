/**
 * What the hints of `fedbiot run` say of the command line, and what a job on a cluster has instead. A pod is tried
 * again by itself, and resumes.
 */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/;? an interrupted run continues with --resume( if the model is the same)?/gi, ''],
  [/ Continue the run with --resume\./g, ''],
  [/Continue the run with --resume\. If/g, 'If'],
  [/; if the folder is a run’s and the file was damaged, --resume writes it again/g, ''],
  [/run again with --resume/g, 'create the job again'],
  [/Continue with --resume, or choose/g, 'Choose'],
  [/Check --out, or omit --resume to start a new run\./g, 'Check the claim in spec.volumes.output.'],
  [/new or empty --out folder/g, 'new or empty claim in spec.volumes.output'],
  [/another --out folder/g, 'another claim in spec.volumes.output'],
  [/Or run with --provider cpu/g, 'Or ask for no GPU'],
  [/, or --provider cpu/g, ', or ask for none'],
  [/A relative path is resolved against the manifest’s folder\./g, 'A relative path starts at its volume.'],
];

/** A hint in the words of a job on a cluster. */
export const inClusterWords = (hint: string): string =>
  WORDS.reduce((text, [words, instead]) => text.replace(words, instead), hint)
    .replace(/\.\s*\.$/, '.')
    .trim();
