import {
  createFileRegistry,
  create,
  fromBinary,
  type DescField,
  type DescMessage,
  type Message,
} from '@bufbuild/protobuf';
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { CodedError, errorMessage, invalid } from '../lib/errors.ts';
import { loadProtoSet } from './proto-set.ts';

/** The public messages' descriptors: for what proto-loader passes over in silence, and for field masks. */

export const PUBLIC_PROTOS = ['gostress/v1/task_service.proto', 'gostress/v1/cluster.proto'] as const;

const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...loadProtoSet(PUBLIC_PROTOS).files] }));

/** @param name without the package, e.g. `Task` */
export function messageType(name: string): DescMessage {
  const type = registry.getMessage(`gostress.v1.${name}`);
  if (type === undefined) throw new RangeError(`schema: expected a message of gostress.v1, found ${name}`);
  return type;
}

/**
 * @throws CodedError INVALID_INPUT when the bytes are not such a message, or have a field that this version does not know: a client
 *   of a later version asks for something that would not be done
 */
export function checkKnown(type: DescMessage, bytes: Uint8Array): void {
  let message: Message;
  try {
    message = fromBinary(type, bytes);
  } catch (error) {
    throw invalid(`expected a ${type.name}, found other bytes: ${errorMessage(error)}`);
  }
  const problems: string[] = [];
  collectUnknown(reflect(type, message), '', problems);
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
}

function collectUnknown(message: ReflectMessage, path: string, problems: string[]): void {
  for (const { no } of message.getUnknown() ?? []) {
    problems.push(
      `${path === '' ? '' : `${path}: `}expected fields of this version of ${message.desc.name}, found number ${no}`,
    );
  }
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const at = path === '' ? field.name : `${path}.${field.name}`;
    if (field.fieldKind === 'message') collectUnknown(message.get(field), at, problems);
    if (field.fieldKind !== 'list' || field.listKind !== 'message') continue;
    for (const [i, item] of [...message.get(field)].entries())
      collectUnknown(item as ReflectMessage, `${at}[${i}]`, problems);
  }
}

export type { DescField, DescMessage };
