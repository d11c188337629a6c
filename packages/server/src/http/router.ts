import type { IncomingMessage, ServerResponse } from 'node:http';

/** The path and query of a request. */
export interface Target {
  readonly path: string;
  readonly query: URLSearchParams;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, target: Target) => void;

/** A method and the beginning of the paths that it serves. */
export interface Route {
  readonly method: string;
  readonly prefix: string;
  readonly handler: Handler;
  /** Whether the whole path must be the prefix. */
  readonly exact?: boolean;
  /** Whether its body may take any time. */
  readonly takesLong?: boolean;
}

/**
 * Chooses by method, then by the longest matching beginning of the path (PROTOCOL.md §1): with `/` served for POST,
 * `/RPC2` and `/anything` reach it too.
 */
export class Router {
  readonly #byMethod = new Map<string, Route[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const list = this.#byMethod.get(route.method) ?? [];
      list.push(route);
      this.#byMethod.set(route.method, list);
    }
    for (const list of this.#byMethod.values()) list.sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /** The route of a request; otherwise the status that says what there is not: the method (501) or the path (404). */
  find(method: string, path: string): Route | 404 | 501 {
    const routes = this.#byMethod.get(method);
    if (routes === undefined) return 501;
    return routes.find(({ prefix, exact }) => (exact === true ? path === prefix : path.startsWith(prefix))) ?? 404;
  }
}

/** Splits what stands in the request line; an absolute URL (as proxies send it) loses its origin. */
export function parseTarget(url: string): Target {
  const local = url.startsWith('/') ? url : url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '');
  const mark = local.indexOf('?');
  if (mark < 0) return { path: local === '' ? '/' : local, query: new URLSearchParams() };
  return { path: local.slice(0, mark) || '/', query: new URLSearchParams(local.slice(mark + 1)) };
}
