import { assert, isUuid } from '@xenolith/base';

/** Room for a name and its suffix in the file names that xl makes of it (`/var/log/xen/xl-NAME.log`). */
const maxLength = 64;
const suffixLength = 9;
const goodName = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;
/** What could be taken for another VM's suffix, or is libxl's own (a domain that is being received or has been sent). */
const reservedEnd = /(?:-[0-9a-f]{8}|--incoming|--migratedaway|-dm)$/;

/**
 * The name of a VM's domain in xl, made of its label: letters, digits and `_.+-`, at most 64, not starting with a character that
 * would make it an option or a hidden file, never only digits (xl would take it for a domid) and never `Domain-0`.
 * A label that is already such a name stays as it is; one that had to be changed, or that another VM has too (`unique` false),
 * gets the first eight digits of the VM's uuid behind it.
 */
export function xlDomainName(nameLabel: string, uuid: string, unique = true): string {
  assert(isUuid(uuid), 'not a uuid');
  const fits =
    nameLabel.length <= maxLength &&
    goodName.test(nameLabel) &&
    !/^\d+$/.test(nameLabel) &&
    nameLabel.toLowerCase() !== 'domain-0' &&
    !reservedEnd.test(nameLabel);
  if (fits && unique) return nameLabel;
  const cleaned = nameLabel
    .normalize('NFKD')
    .replaceAll(/[\u0300-\u036f]/g, '')
    .replaceAll(/[^A-Za-z0-9_.+-]+/g, '-')
    .replace(/^[^A-Za-z0-9_]+/, '')
    .slice(0, maxLength - suffixLength)
    .replace(/[-.+]+$/, '');
  return `${cleaned === '' ? 'vm' : cleaned}-${uuid.slice(0, 8)}`;
}
