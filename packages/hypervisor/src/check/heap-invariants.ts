import { zoneOf } from '../memory/free-blocks.ts';
import type { PageHeap } from '../memory/page-heap.ts';

/**
 * What is wrong with a heap: every page is free once or owned once, counters say so, and no two free halves lie
 * beside each other.
 * @param pages all pages that the machine has for domains
 * @returns a line for each fault
 */
export function heapFaults(heap: PageHeap, pages: number): readonly string[] {
  const faults: string[] = [];
  const blocks: { readonly page: number; readonly order: number; readonly what: string }[] = [];
  let freePages = 0;
  for (const node of heap.nodes) {
    const free = heap.freeBlocksOn(node);
    const inZone = new Map<number, number>();
    let onNode = 0;
    const all = [...free.blocks()];
    const known = new Set(all.map(({ page, order }) => `${page}/${order}`));
    for (const { page, order, zone } of all) {
      const size = 2 ** order;
      onNode += size;
      inZone.set(zone, (inZone.get(zone) ?? 0) + size);
      blocks.push({ page, order, what: `free on node ${node}` });
      if (heap.nodeOf(page) !== node) faults.push(`page ${page} of node ${heap.nodeOf(page)} is free on node ${node}`);
      if (zoneOf(page) !== zone) faults.push(`page ${page} is in zone ${zone}`);
      const buddy = (page / size) % 2 === 0 ? page + size : page - size;
      if (order < 18 && zoneOf(buddy) === zone && known.has(`${buddy}/${order}`)) {
        faults.push(`blocks ${page} and ${buddy} of order ${order} are not one`);
      }
    }
    if (onNode !== free.pages) faults.push(`node ${node} has ${onNode} free pages and counts ${free.pages}`);
    for (const [zone, count] of inZone) {
      if (free.pagesInZone(zone) !== count) faults.push(`zone ${zone} has ${count}, counts ${free.pagesInZone(zone)}`);
    }
    freePages += onNode;
  }
  if (freePages !== heap.freePages) faults.push(`${freePages} pages are free, ${heap.freePages} are counted`);
  faults.push(...domainFaults(heap));
  for (const [page, { order, domid }] of heap.owned) blocks.push({ page, order, what: `of domain ${domid}` });
  blocks.sort((a, b) => a.page - b.page);
  let end = 0;
  let sum = 0;
  for (const { page, order, what } of blocks) {
    if (page < end || page % 2 ** order !== 0) faults.push(`block ${page} of order ${order}, ${what}, is not its own`);
    end = page + 2 ** order;
    sum += 2 ** order;
  }
  if (sum !== pages) faults.push(`${sum} pages of ${pages} are free or owned`);
  return faults;
}

function domainFaults(heap: PageHeap): readonly string[] {
  const faults: string[] = [];
  const owned = new Map<number, number>();
  for (const { domid, order } of heap.owned.values()) owned.set(domid, (owned.get(domid) ?? 0) + 2 ** order);
  let claimed = 0;
  for (const domid of heap.domids) {
    const { pages, claimedPages } = heap.domain(domid);
    claimed += claimedPages;
    if ((owned.get(domid) ?? 0) !== pages) faults.push(`domain ${domid} has ${owned.get(domid) ?? 0}, counts ${pages}`);
    if (claimedPages < 0) faults.push(`domain ${domid} claims ${claimedPages}`);
    owned.delete(domid);
  }
  for (const domid of owned.keys()) faults.push(`domain ${domid} is not there, and has memory`);
  if (claimed !== heap.claimedPages) faults.push(`claims are ${claimed}, ${heap.claimedPages} are counted`);
  if (claimed > heap.freePages) faults.push(`${claimed} pages are claimed of ${heap.freePages}`);
  return faults;
}
