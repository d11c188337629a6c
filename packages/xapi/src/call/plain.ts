/**
 * Declared messages that do no more than write one field. XAPI declares some accessors by hand (roles, history);
 * here they are one line each.
 */
import type { Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { AnyRecord } from '../database/database.ts';
import type { ClassName, FieldName } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { setField } from '../generic.ts';
import type { Call } from './call.ts';

/** `set_F`. @throws XapiError HANDLE_INVALID [class, ref] for a reference to what does not exist */
export const plainSet =
  <C extends ClassName>(className: C, field: FieldName<C>) =>
  ({ xapi }: Call, { self, value }: { readonly self: Ref<C>; readonly value: unknown }): void => {
    setField(xapi.db, className, self, field, value as WireValue);
  };

/** `add_to_F`. @throws XapiError MAP_DUPLICATE_KEY [class, field, ref, key] */
export const plainAddTo =
  <C extends ClassName>(className: C, field: FieldName<C>) =>
  (
    { xapi }: Call,
    { self, key, value }: { readonly self: Ref<C>; readonly key: string; readonly value: string },
  ): void => {
    const map = xapi.db.getAny(className, self)[field] as AnyRecord;
    if (Object.hasOwn(map, key)) throw new XapiError('MAP_DUPLICATE_KEY', className, field, self, key);
    xapi.db.updateAny(className, self, { [field]: { ...map, [key]: value } });
  };

/** `remove_from_F`; a key that is not there is no error. */
export const plainRemoveFrom =
  <C extends ClassName>(className: C, field: FieldName<C>) =>
  ({ xapi }: Call, { self, key }: { readonly self: Ref<C>; readonly key: string }): void => {
    const map = xapi.db.getAny(className, self)[field] as AnyRecord;
    xapi.db.updateAny(className, self, {
      [field]: Object.fromEntries(Object.entries(map).filter(([name]) => name !== key)),
    });
  };
