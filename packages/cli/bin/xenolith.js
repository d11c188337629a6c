#!/usr/bin/env node
import { launch } from './launch.js';

await launch(new URL('../src/xenolith.ts', import.meta.url));
