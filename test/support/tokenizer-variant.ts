import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

export const fixtures = fileURLToPath(new URL('../fixtures/tokenizers', import.meta.url));

/** A copy of a fixture with some files replaced. */
export async function variant(
  t: Test,
  files: Record<string, object | string | null>,
  family = 'gpt2',
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fedbiot-tokenizer-'));
  t.teardown(() => rm(directory, { recursive: true }));
  await cp(join(fixtures, family), directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    if (content === null) await rm(join(directory, name));
    else await writeFile(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}
