import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  type FileDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { PROTO_FOLDER } from './loader.ts';
import { ProtoFile, type TypeKind } from './proto-file.ts';

/** The files that protoc brings with it. */
const WELL_KNOWN: readonly FileDescriptorProto[] = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
].map(({ proto }) => proto);

/** Files of `proto` with all that they import. */
export interface ProtoSet {
  /** Imported files come before those that import them. */
  files: readonly FileDescriptorProto[];
  /** Full names of the services of the files that were asked for. */
  services: readonly string[];
  /** The path of the file that declares a name; undefined: none does. */
  fileOf(name: string): string | undefined;
}

/** @param paths within `proto`, e.g. `gostress/v1/task_service.proto` */
export function loadProtoSet(paths: readonly string[]): ProtoSet {
  const files = new Map<string, FileDescriptorProto>();
  const kinds = new Map<string, TypeKind>();
  const places = new Map<string, string>();
  const load = (file: string): void => {
    if (files.has(file)) return;
    const known = WELL_KNOWN.find(({ name }) => name === file);
    const parsed = known === undefined ? readProtoFile(file) : wellKnown(known);
    for (const imported of parsed.imports) load(imported);
    for (const [name, kind] of parsed.symbols) kinds.set(name, kind);
    for (const name of parsed.names) places.set(name, file);
    files.set(
      file,
      parsed.descriptor((name) => kinds.get(name)),
    );
  };
  for (const file of paths) load(file);
  return {
    files: [...files.values()],
    services: paths.flatMap((file) => readProtoFile(file).services),
    fileOf: (name) => places.get(name),
  };
}

function readProtoFile(file: string): ProtoFile {
  return new ProtoFile(file, readFileSync(path.join(PROTO_FOLDER, file), 'utf8'));
}

type Loaded = Pick<ProtoFile, 'imports' | 'symbols' | 'names' | 'descriptor'>;

function wellKnown(proto: FileDescriptorProto): Loaded {
  const symbols = new Map<string, TypeKind>();
  for (const { name } of proto.messageType) symbols.set(`${proto.package}.${name}`, 'message');
  for (const { name } of proto.enumType) symbols.set(`${proto.package}.${name}`, 'enum');
  return { imports: proto.dependency, symbols, names: new Set(symbols.keys()), descriptor: () => proto };
}
