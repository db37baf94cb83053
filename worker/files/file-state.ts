import { fstatSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';

/** What a file system tells of a file without reading it. Times are in nanoseconds; all are decimal integers. */
export interface FileState {
  readonly device: string;
  readonly inode: string;
  readonly size: string;
  readonly modified: string;
  /** When content, name or permissions changed. No program can set it. */
  readonly changed: string;
}

/** @param file path or descriptor; throws the error of the system call */
export function fileState(file: string | number): FileState {
  const found = typeof file === 'string' ? statSync(file, { bigint: true }) : fstatSync(file, { bigint: true });
  return stateOf(found);
}

function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  return {
    device: String(dev),
    inode: String(ino),
    size: String(size),
    modified: String(mtimeNs),
    changed: String(ctimeNs),
  };
}

/** Whether the file at `path` still has the content that it had in `state`, as far as its state tells. */
export function isUnchanged(path: string, state: FileState): boolean {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found !== undefined && sameContent(state, stateOf(found));
}

/** Whether a file still has the same content, as far as its state tells. A new name or new permissions do not count. */
export function sameContent(a: FileState, b: FileState): boolean {
  return a.device === b.device && a.inode === b.inode && a.size === b.size && a.modified === b.modified;
}

/** The same, also of a program that sets the file's times. */
export function sameState(a: FileState, b: FileState): boolean {
  return sameContent(a, b) && a.changed === b.changed;
}
