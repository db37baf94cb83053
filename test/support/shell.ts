/** A word of a command: characters outside and inside quotes, in any combination. */
const WORD = /(?:[^\s"'\\;|&()<>`]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g;

/**
 * Every command in lines of shell as unquoted words, including those in pipes, lists and `$(…)`, without redirections.
 * Supports only the syntax that the documents use.
 */
export function shellCommands(text: string): string[][] {
  const lines = text.replaceAll(/\\\n\s*/g, ' ').split('\n');
  return lines.flatMap((line) => {
    const inner: string[] = [];
    const code = line.replace(/(?:^|\s)#.*$/, '').replaceAll(/\$\(((?:[^()]|\([^()]*\))*)\)/g, (_, command: string) => {
      inner.push(command);
      return 'SUBSTITUTED';
    });
    const own = code.split(/&&|\|\||[;|&]|\bdo\b/).map((part) => wordsOf(part.replaceAll(/\d?>+\s*\S+/g, '')));
    return [...own, ...inner.map(wordsOf)].filter((words) => words.length > 0);
  });
}

const wordsOf = (command: string): string[] =>
  [...command.matchAll(WORD)].map(([word]) =>
    word.replaceAll(
      /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
      (_, double = '', single = '', escaped = '') => `${double}${single}${escaped}`,
    ),
  );

/** The values of an option, written `--name value` or `--name=value`. */
export function optionValues(words: readonly string[], ...names: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    const [name = '', ...rest] = word.split('=');
    if (!names.includes(name)) return [];
    return rest.length > 0 ? [rest.join('=')] : [words[index + 1] ?? ''];
  });
}

/** Long options by name. */
export const longOptions = (words: readonly string[]): string[] =>
  words.flatMap((word) => /^--[a-z][a-z-]*/.exec(word) ?? []);
