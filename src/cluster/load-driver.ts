import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { drivers, type DriverRegistry } from './registry.ts';

/** What a user's module imports to register itself. */
const PACKAGE = 'gostress';

let entry: string | null = null;

/**
 * From now on `import 'gostress'` in this process means this very copy of the package, wherever the importing module
 * lies: a globally installed `gostress` could otherwise not be found by a driver in a user's folder.
 *
 * @param url of the package's entry, `file:` …
 */
export function servePackage(url: string): void {
  if (entry === null) {
    registerHooks({
      resolve: (specifier, context, next) =>
        specifier === PACKAGE ? { url: entry!, shortCircuit: true } : next(specifier, context),
    });
  }
  entry = url;
}

/**
 * Imports a user's module, which registers its drivers as it is evaluated (`--driver ./my-driver.js`).
 *
 * @param path of the module, absolute or from the working folder
 * @returns the names that it added
 * @throws CodedError INVALID_INPUT when it cannot be imported, or registers nothing
 */
export async function loadDriver(path: string, registry: DriverRegistry = drivers): Promise<readonly string[]> {
  const known = new Set(registry.names());
  try {
    await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new CodedError('INVALID_INPUT', `driver ${show(path)}: cannot be loaded: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  const added = registry.names().filter((name) => !known.has(name));
  if (added.length > 0) return added;
  const problem = `driver ${show(path)}: expected a module that calls registerMasterDriver or registerWorkerDriver with a new name, found neither`;
  throw new CodedError('INVALID_INPUT', problem);
}
