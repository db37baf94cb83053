/** A value of a Secret's `data`, which is base64 of UTF-8. */
export const encodeSecret = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

export const decodeSecret = (encoded: string): string => Buffer.from(encoded, 'base64').toString('utf8');
