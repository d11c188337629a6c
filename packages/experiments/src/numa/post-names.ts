/** What the variants and measures of the post's experiment are called. */
export const vmCounts = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/** Of VM#1: free with its memory on both nodes; the same but held on one; with both on one; each on another. */
export const placements = ['default', 'pinned', 'local', 'remote'] as const;
export type Placement = (typeof placements)[number];

/** The name of the variant with so many VMs. */
export const countName = (vms: number): string => (vms === 1 ? '1 VM' : `${vms} VMs`);
