import { UserError } from '../../crds/facts/user-error.ts';

/** A job that cannot be carried out as it is written: it fails, with these words. */
export class InvalidSpec extends UserError {
  override readonly name = 'InvalidSpec';

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
  }
}
