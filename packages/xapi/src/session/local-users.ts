/** The users that the pool itself knows: rows of class `user`, each with the hash of a password. */
import { nullRef, type Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import { XapiError } from '../errors.ts';
import type { Directory } from './directory.ts';

/** The setting with the hash of each user's password, by the user's uuid. */
const setting = 'user-password-hashes';
/** Longer names are none that anybody types. */
const nameLengthMax = 64;
const usersMax = 10_000;

/** Looks at a password, when its turn has come. */
export type Verify = (password: string, hash: string) => Promise<boolean>;

export class LocalUsers implements Directory {
  readonly authType = 'local';
  readonly #db: Database;
  readonly #verify: Verify;

  constructor(db: Database, verify: Verify) {
    this.#db = db;
    this.#verify = verify;
  }

  #hashes(): Readonly<Record<string, string>> {
    return JSON.parse(this.#db.setting(setting) ?? '{}') as Readonly<Record<string, string>>;
  }

  #find(name: string): Ref<'user'> | undefined {
    for (const [ref, user] of this.#db.all('user')) if (user.short_name === name) return ref;
    return undefined;
  }

  /** Makes a user, who cannot log in before there is a password. @throws XapiError INVALID_VALUE [field, value] */
  create(fields: {
    readonly short_name: string;
    readonly fullname: string;
    readonly other_config?: Readonly<Record<string, string>>;
  }): Ref<'user'> {
    const { short_name: name } = fields;
    // The names of POSIX users and of mail addresses; whatever prints one need not think.
    const isName = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/.test(name) && name.length <= nameLengthMax;
    if (!isName || name === 'root' || this.#find(name) !== undefined || this.#db.count('user') >= usersMax) {
      throw new XapiError('INVALID_VALUE', 'short_name', name);
    }
    return this.#db.create('user', fields);
  }

  /** @throws XapiError HANDLE_INVALID */
  setPasswordHash(user: Ref<'user'>, hash: string): void {
    const { uuid } = this.#db.get('user', user);
    this.#db.setSetting(setting, JSON.stringify({ ...this.#hashes(), [uuid]: hash }));
  }

  /** @throws XapiError HANDLE_INVALID */
  destroy(user: Ref<'user'>): void {
    const { uuid } = this.#db.get('user', user);
    const left = Object.entries(this.#hashes()).filter(([name]) => name !== uuid);
    this.#db.setSetting(setting, JSON.stringify(Object.fromEntries(left)));
    this.#db.destroy('user', user);
  }

  async authenticate(userName: string, password: string): Promise<string | undefined> {
    const user = this.#find(userName);
    const uuid = user === undefined ? '' : this.#db.get('user', user).uuid;
    // For a name that nobody has a hash is worked out too: the time of a refusal does not tell which names there are.
    const [some = ''] = Object.values(this.#hashes());
    const hash = this.#hashes()[uuid];
    const good = await this.#verify(password, hash ?? some);
    // Meanwhile the user may have gone.
    return good && hash !== undefined && this.#db.byUuid('user', uuid) !== undefined ? uuid : undefined;
  }

  identifierOf(name: string): Promise<string | undefined> {
    const user = this.#find(name);
    return Promise.resolve(user === undefined ? undefined : this.#db.get('user', user).uuid);
  }

  informationOf(identifier: string): Promise<Readonly<Record<string, string>> | undefined> {
    const user = this.#db.find('user', this.#db.byUuid('user', identifier) ?? nullRef<'user'>());
    if (user === undefined) return Promise.resolve(undefined);
    const mayLogIn = this.#hashes()[user.uuid] !== undefined;
    return Promise.resolve({
      'subject-name': user.short_name,
      'subject-displayname': user.fullname,
      'subject-sid': user.uuid,
      'subject-is-group': 'false',
      'subject-account-disabled': String(!mayLogIn),
    });
  }

  /** There are no groups of local users. */
  groupsOf(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }
}
