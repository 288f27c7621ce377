#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// Compiled code is kept in the system's folder for temporary files: a start then takes half the time.
enableCompileCache();
const { cli } = await import('./program.ts');
process.exitCode = await cli(process.argv.slice(2));
