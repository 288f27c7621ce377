import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';

/** `proto` of the repository or of the published package: beside `src` or `dist`. */
export const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

/**
 * Messages are plain objects with camelCase keys: 64-bit integers as decimal strings, enums by name, bytes as Buffer, lists and
 * maps never absent; `oneof` has a key of its own that holds the name of the field that is set.
 *
 * @param file within `proto`, e.g. `gostress/v1/session.proto`
 */
export function loadProto(file: string): PackageDefinition {
  return loadSync(file, {
    includeDirs: [PROTO_FOLDER],
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}
