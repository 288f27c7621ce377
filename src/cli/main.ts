#!/usr/bin/env node
import { cli } from './program.ts';

process.exitCode = await cli(process.argv.slice(2));
