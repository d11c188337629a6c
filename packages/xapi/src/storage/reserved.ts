/**
 * The mark on a device whose VM is about to be given it, or to lose it: on disk before its host is asked, gone once the
 * outcome is known. XAPI has a column `reserved` for it, which clients do not see; here it is one of the properties
 * that they do.
 */
import type { RecordOf } from '../datamodel/types.ts';

type Device = Pick<RecordOf<'VBD'>, 'runtime_properties'>;

const key = 'xenolith:reserved';

/** A device's properties with the mark. */
export const reserved: Device = { runtime_properties: { [key]: 'true' } };

/** And without it. */
export const notReserved: Device = { runtime_properties: {} };

export const isReserved = ({ runtime_properties }: Device): boolean => Object.hasOwn(runtime_properties, key);
