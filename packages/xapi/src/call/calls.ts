/** Every call that has behaviour of its own, by class. */
import type { ClassName } from '../datamodel/types.ts';
import type { CallsOf } from './call.ts';

export const calls: { readonly [C in ClassName]?: CallsOf<C> } = {};
