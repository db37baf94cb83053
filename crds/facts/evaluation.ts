import Type from 'typebox';
import type { Static } from 'typebox';
import { describedAs } from '../json-schema/fields.ts';
import { Score } from './score.ts';

/** The scores of the three models that an evaluation compares. */
export const Evaluation = Type.Object({
  base: describedAs(Score, 'Score of the unmodified full model.'),
  adapEmu: describedAs(Score, 'Score of emulator + adapter, which clients hold.'),
  adapFu: describedAs(Score, 'Score of full model + adapter, which the server gains.'),
});

export type Evaluation = Static<typeof Evaluation>;
