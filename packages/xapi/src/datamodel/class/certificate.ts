import type { ClassTable } from '../schema.ts';

/** An X.509 certificate that the pool trusts or shows. */
export const Certificate = {
  name: 'Certificate',
  help: 'An X.509 certificate that the pool trusts or shows.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'stockholm' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'stockholm' },
    name: { type: 'string', access: 'RO', default: '', published: '1.294.0' },
    type: { type: 'enum(certificate_type)', access: 'RO', default: 'host', published: '1.294.0' },
    host: { type: 'ref(host)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'stockholm' },
    not_before: { type: 'datetime', access: 'StaticRO', default: '19700101T00:00:00Z', published: 'stockholm' },
    not_after: { type: 'datetime', access: 'StaticRO', default: '19700101T00:00:00Z', published: 'stockholm' },
    fingerprint: { type: 'string', access: 'StaticRO', default: '', published: 'stockholm', deprecated: '24.19.0' },
    fingerprint_sha256: { type: 'string', access: 'StaticRO', default: '', prototyped: '24.20.0' },
    fingerprint_sha1: { type: 'string', access: 'StaticRO', default: '', prototyped: '24.20.0' },
    purpose: { type: 'set(enum(certificate_purpose))', access: 'StaticRO', default: [], prototyped: '26.13.0' },
  },
  messages: {},
} as const satisfies ClassTable;
