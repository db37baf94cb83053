/**
 * Limits how often each job is read: at once, but not again within the pause. Requests within the pause lead to one
 * more read at its end.
 */
export class PacedReads<T extends { readonly uid: string }> {
  readonly #pauseMs: number;
  readonly #read: (job: T) => void;
  /** Jobs read within the last pause, and whether to read them again after it. */
  readonly #pauses = new Map<string, { readonly timer: NodeJS.Timeout; again: boolean }>();
  #closed = false;

  constructor(pauseMs: number, read: (job: T) => void) {
    this.#pauseMs = pauseMs;
    this.#read = read;
  }

  request(job: T): void {
    if (this.#closed) return;
    const pause = this.#pauses.get(job.uid);
    if (pause !== undefined) {
      pause.again = true;
      return;
    }
    const timer = setTimeout(() => {
      const again = this.#pauses.get(job.uid)?.again === true;
      this.#pauses.delete(job.uid);
      if (again) this.request(job);
    }, this.#pauseMs);
    this.#pauses.set(job.uid, { timer, again: false });
    this.#read(job);
  }

  forget(uid: string): void {
    clearTimeout(this.#pauses.get(uid)?.timer);
    this.#pauses.delete(uid);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#pauses.values()) clearTimeout(timer);
    this.#pauses.clear();
  }
}
