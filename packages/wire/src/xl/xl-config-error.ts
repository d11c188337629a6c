/** A value that cannot be written into an xl.cfg, or that xl would read as something else. */
export class XlConfigError extends Error {
  override readonly name = 'XlConfigError';
  /** The field of `XlDomainConfig`, as `disks[0].path`. */
  readonly field: string;

  constructor(field: string, what: string) {
    super(`${field}: ${what}`);
    this.field = field;
  }
}
