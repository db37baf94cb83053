import Type from 'typebox';
import type { Static } from 'typebox';
import { count } from '../json-schema/fields.ts';

/** How many clients of a round are in each state. */
export const ClientCounts = Type.Object({
  selected: count('Clients sampled for the round.'),
  reported: count('Clients whose result was accepted.'),
  dropped: count('Clients that did not report in time.'),
  refused: count('Clients whose result was refused.'),
});

export type ClientCounts = Static<typeof ClientCounts>;

export const CLIENT_STATES = ['selected', 'reported', 'dropped', 'refused'] as const satisfies (keyof ClientCounts)[];

export const NO_CLIENTS: ClientCounts = { selected: 0, reported: 0, dropped: 0, refused: 0 };

const indices = Type.Array(Type.Integer({ minimum: 0 }));

/** The clients of a round by state; a client's index counts from 0. */
export const ClientLists = Type.Object({
  selected: indices,
  reported: indices,
  dropped: indices,
  refused: indices,
});

export type ClientLists = Static<typeof ClientLists>;

export const countClients = ({ selected, reported, dropped, refused }: ClientLists): ClientCounts => ({
  selected: selected.length,
  reported: reported.length,
  dropped: dropped.length,
  refused: refused.length,
});
