/** The part of the npm client `xen-api` 4 that the tests use; the package has no types of its own. */
declare module 'xen-api' {
  /** A record as the client keeps it: the fields as the server sent them, and a few of the client's own. */
  export interface CachedObject {
    readonly $type: string;
    readonly $ref: string;
    readonly [field: string]: unknown;
  }

  export class Xapi {
    constructor(options: {
      readonly url: string;
      readonly auth: { readonly user: string; readonly password: string };
      readonly transport?: 'auto' | 'json-rpc' | 'xml-rpc';
      readonly allowUnauthorized?: boolean;
      readonly watchEvents?: boolean | readonly string[];
      /** Milliseconds between two fetches of events. */
      readonly debounce?: number;
    });
    readonly status: 'connected' | 'connecting' | 'disconnected';
    readonly pool: CachedObject;
    readonly sessionId: string;
    readonly objects: {
      readonly all: Readonly<Record<string, CachedObject>>;
      on(event: 'finish', listener: () => void): void;
      off(event: 'finish', listener: () => void): void;
    };
    readonly objectsFetched: Promise<void>;
    readonly watchEventsError: unknown;
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    call(method: string, ...params: readonly unknown[]): Promise<unknown>;
    /** Calls `Async.<method>` and waits for its task by watching events. */
    callAsync(method: string, ...params: readonly unknown[]): Promise<unknown>;
    /** The result of a task, once it has one. */
    watchTask(ref: string): Promise<unknown>;
    getAllRecords(type: string): Promise<readonly CachedObject[]>;
    getRecord(type: string, ref: string): Promise<CachedObject>;
    getField(type: string, ref: string, field: string): Promise<unknown>;
    getObject(ref: string, missing?: undefined): CachedObject | undefined;
    /** Waits until every event up to now has come. */
    barrier(ref?: string): Promise<CachedObject>;
  }
}
