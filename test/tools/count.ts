/** `npm run test:count -- FILE`: prints how many tests vitest's JSON report counts; fails when none was executed. */
import { readFileSync } from 'node:fs';

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
}

const path = process.argv[2];
if (path === undefined) throw new Error("expected the path of vitest's JSON report, found no argument");
const report = JSON.parse(readFileSync(path, 'utf8')) as VitestReport;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped} skipped`);
if (report.numPassedTests + report.numFailedTests === 0) process.exitCode = 1;
