/** A property of a tokenizer's files that cannot be reproduced, in words that follow "has". */
export class TokenizerProblem extends Error {
  readonly file: string;

  constructor(what: string, file = 'tokenizer.json') {
    super(what);
    this.file = file;
  }
}
