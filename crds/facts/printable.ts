import { stripVTControlCharacters } from 'node:util';

/**
 * Text from others as one line that is safe for a terminal: escape sequences are removed, and other control characters,
 * as well as those that change the direction of text, become spaces.
 */
export const printable = (text: string): string =>
  stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g, ' ');

/** The same for text of several lines. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');
