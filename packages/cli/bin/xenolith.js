#!/usr/bin/env -S node --
// The -- keeps Node from taking --env-file for itself, wherever it stands.
import { launch } from './launch.js';

await launch(new URL('../src/xenolith.ts', import.meta.url));
