import { UserError } from '../../crds/facts/user-error.ts';

/** The spec cannot be carried out. The job fails with this message. */
export class InvalidSpec extends UserError {
  override readonly name = 'InvalidSpec';

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
  }
}
