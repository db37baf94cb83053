import Type from 'typebox';
import type { Static } from 'typebox';
import { number, orNull } from '../json-schema/fields.ts';

/*
 * The figures that each round reports. State, report, progress and status of a job derive from these schemas. A figure
 * that is added later is optional, because older runs and older pods do not report it.
 */

/** Figures of a round's alignment; null when the round had none. */
export const AlignmentFigures = Type.Object({
  alignmentLoss: orNull(number('Mean loss of the last alignment.')),
  publicAlignmentGap: Type.Optional(
    orNull(
      number(
        'Mean loss over the last tenth of the last alignment: the gap left between emulator and model on public data.',
      ),
    ),
  ),
});

const localLoss = number('Mean loss of the clients of the last finished round, in nats.');

/** Figures of a finished round. */
export const RoundFigures = Type.Object({ ...AlignmentFigures.properties, localLoss });

/** The last known value of each figure; null while there is none. */
export const LastFigures = Type.Object({ ...AlignmentFigures.properties, localLoss: orNull(localLoss) });

export type AlignmentFigures = Static<typeof AlignmentFigures>;
export type RoundFigures = Static<typeof RoundFigures>;
export type LastFigures = Static<typeof LastFigures>;

export const alignmentFigures = ({ alignmentLoss, publicAlignmentGap = null }: AlignmentFigures): AlignmentFigures => ({
  alignmentLoss,
  publicAlignmentGap,
});

/** Selects the figures from an object that has other fields too; missing ones are null. */
export const lastFigures = ({
  alignmentLoss = null,
  publicAlignmentGap = null,
  localLoss = null,
}: Partial<LastFigures>): Required<LastFigures> => ({
  alignmentLoss,
  publicAlignmentGap,
  localLoss,
});

/** The last known figures after a round: those that the round does not report keep their value. */
export function figuresAfter(before: LastFigures, round: RoundFigures): LastFigures {
  const known = Object.entries(lastFigures(round)).filter(([, value]) => value !== null);
  return { ...lastFigures(before), ...Object.fromEntries(known) };
}
