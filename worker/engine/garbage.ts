/**
 * Bytes of dropped tensors at which a compute process runs the garbage collector: they keep their memory until it runs,
 * and it does not see how large they are.
 */
export const GARBAGE_BYTES = 128 * 2 ** 20;
