import Type from 'typebox';
import type { Static } from 'typebox';
import { describedAs } from '../json-schema/fields.ts';
import { Score } from './score.ts';

/** The scores of the three models that an evaluation compares. */
export const Evaluation = Type.Object({
  base: describedAs(Score, 'Score of the full model as it was given.'),
  adapEmu: describedAs(Score, 'Score of emulator + adapter: what a client has.'),
  adapFu: describedAs(Score, 'Score of full model + adapter: what the server gains.'),
});

export type Evaluation = Static<typeof Evaluation>;
