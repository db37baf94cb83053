import { fileState } from '../../worker/files/file-state.ts';
import { checkedContent, verificationIn } from '../../worker/safetensors/checked-content.ts';

// Prints what a new process finds out about a file, or its error: content-child.ts FILE CACHE again|once
const [path = '', cache = '', mode] = process.argv.slice(2);
const content = checkedContent(path, fileState(path), verificationIn(cache, { again: mode === 'again' }));
console.log(JSON.stringify(await content.catch((error: unknown) => ({ error: String(error) }))));
