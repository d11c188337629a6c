/**
 * node:http and node:https without what an `import` of them brings along: an import reads every name that a module
 * exports, and some of node:http's load a WebSocket client, which takes 20 ms that a command does not have.
 */
import type Http from 'node:http';
import type Https from 'node:https';

export const builtinHttp = (): typeof Http => process.getBuiltinModule('node:http');

export const builtinHttps = (): typeof Https => process.getBuiltinModule('node:https');
