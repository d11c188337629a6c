/** Xen's page on x86: memory is counted in whole pages. */
export const pageBytes = 4096;

/** Pages in so many MiB. */
export const mibPages = 256;
