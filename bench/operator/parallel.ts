/** Does all pieces of work in order, `atATime` of them concurrently. */
export async function inParallel(
  pieces: number,
  atATime: number,
  work: (piece: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < pieces) await work(next++);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}
