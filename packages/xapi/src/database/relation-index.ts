/**
 * Who points where. `VBD.VM` is stored; `VM.VBDs` follows from it and is kept here, so that no writer has to think of
 * two places; and when an object goes, everything that names it is found without a search.
 */
export class RelationIndex {
  /** Target, then the field that names it (`VBD.VM`), then the objects whose field that is. */
  readonly #members = new Map<string, Map<string, Set<string>>>();

  add(target: string, key: string, member: string): void {
    let keys = this.#members.get(target);
    if (keys === undefined) this.#members.set(target, (keys = new Map()));
    let members = keys.get(key);
    if (members === undefined) keys.set(key, (members = new Set()));
    members.add(member);
  }

  remove(target: string, key: string, member: string): void {
    const keys = this.#members.get(target);
    const members = keys?.get(key);
    if (keys === undefined || members?.delete(member) !== true) return;
    if (members.size === 0) keys.delete(key);
    if (keys.size === 0) this.#members.delete(target);
  }

  /** The objects whose field `key` names the target, in the order in which they came to. */
  members(target: string, key: string): readonly string[] {
    return [...(this.#members.get(target)?.get(key) ?? [])];
  }

  /** Every (field, object) that names the target; a copy, so that it may be taken apart meanwhile. */
  namedBy(target: string): readonly (readonly [key: string, members: readonly string[]])[] {
    return [...(this.#members.get(target) ?? [])].map(([key, members]) => [key, [...members]]);
  }
}
