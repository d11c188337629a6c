/**
 * Users beside root. XAPI asks a plug-in for them (ocaml/auth/auth_signature.ml); so does this, and the users of
 * class `user` are the plug-in that is built in (`local`). PAM, LDAP or Active Directory would be further ones.
 */
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';

/** A source of users. An identifier names one of them for good; a user of the same name that is made anew has another. */
export interface Directory {
  /** What `pool.enable_external_auth` calls it. */
  readonly authType: string;
  /** The identifier of the user whose name and password these are, or undefined. */
  authenticate(userName: string, password: string): Promise<string | undefined>;
  identifierOf(name: string): Promise<string | undefined>;
  /** What is known of a user or group: `subject-name`, `subject-is-group` and the like. */
  informationOf(identifier: string): Promise<Readonly<Record<string, string>> | undefined>;
  /** Identifiers of the groups that a user or group is in, also by way of others. */
  groupsOf(identifier: string): Promise<readonly string[]>;
}

interface Enabled {
  readonly authType: string;
  readonly serviceName: string;
  readonly configuration: Readonly<Record<string, string>>;
}

/** The setting that says which directory is asked. */
const setting = 'external-auth';

/** Which of the directories that there are is asked now. One for the whole pool, so its hosts never differ. */
export class ExternalAuth {
  readonly #db: Database;
  readonly #directories: readonly Directory[];

  constructor(db: Database, directories: readonly Directory[]) {
    this.#db = db;
    this.#directories = directories;
  }

  #enabled(): Enabled | undefined {
    const text = this.#db.setting(setting) ?? '';
    return text === '' ? undefined : (JSON.parse(text) as Enabled);
  }

  /** The directory that is asked; undefined when only root can log in. */
  get directory(): Directory | undefined {
    const enabled = this.#enabled();
    return this.#directories.find(({ authType }) => authType === enabled?.authType);
  }

  /** @throws XapiError AUTH_IS_DISABLED */
  assertDirectory(): Directory {
    const { directory } = this;
    if (directory === undefined) throw new XapiError('AUTH_IS_DISABLED');
    return directory;
  }

  /** @throws XapiError POOL_AUTH_ALREADY_ENABLED [host], AUTH_UNKNOWN_TYPE [type] */
  enable(authType: string, serviceName: string, configuration: Readonly<Record<string, string>>): void {
    const [pool] = this.#db.refs('pool');
    if (this.directory !== undefined) {
      throw new XapiError('POOL_AUTH_ALREADY_ENABLED', pool === undefined ? '' : this.#db.get('pool', pool).master);
    }
    if (!this.#directories.some((each) => each.authType === authType)) {
      throw new XapiError('AUTH_UNKNOWN_TYPE', authType);
    }
    this.#db.setSetting(setting, JSON.stringify({ authType, serviceName, configuration } satisfies Enabled));
    this.#showOnHosts();
  }

  disable(): void {
    this.#db.setSetting(setting, '');
    this.#showOnHosts();
  }

  /** What the record of each host says of it. */
  hostFields(): Pick<
    RecordOf<'host'>,
    'external_auth_type' | 'external_auth_service_name' | 'external_auth_configuration'
  > {
    const enabled = this.#enabled();
    return {
      external_auth_type: enabled?.authType ?? '',
      external_auth_service_name: enabled?.serviceName ?? '',
      external_auth_configuration: { ...enabled?.configuration },
    };
  }

  #showOnHosts(): void {
    for (const host of this.#db.refs('host')) this.#db.update('host', host, this.hostFields());
  }
}
