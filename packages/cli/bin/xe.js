#!/usr/bin/env node
import { launch } from './launch.js';

await launch(new URL('../src/xe.ts', import.meta.url));
