/** The data cannot be parsed; a request for the same version would return the same. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
}

const NEWLINE = 0x0a;

/**
 * The non-empty lines of a stream. `received` is called for every chunk.
 * @throws Unreadable at a line with more bytes than `most`
 */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  most: number,
  received: () => void,
): AsyncGenerator<string> {
  let begun: Uint8Array[] = [];
  let bytes = 0;
  const keep = (piece: Uint8Array) => {
    begun.push(piece);
    bytes += piece.length;
    if (bytes > most) throw new Unreadable(`a line has more than ${most} bytes`);
  };
  for await (const chunk of stream) {
    received();
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end));
      if (bytes > 0) yield Buffer.concat(begun).toString('utf8');
      [begun, bytes, start] = [[], 0, end + 1];
    }
    keep(chunk.subarray(start));
  }
  // The rest is a truncated line.
}
