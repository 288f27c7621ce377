import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { DescriptorProto, EnumDescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { PROTO_FOLDER } from '../../src/rpc/loader.ts';
import { loadProtoSet } from '../../src/rpc/proto-set.ts';

const OURS = 'gostress/v1';
const files = readdirSync(path.join(PROTO_FOLDER, OURS)).map((file) => `${OURS}/${file}`);
const set = loadProtoSet(files);

/** Numbers in descriptor.proto of what a path of a comment leads through. */
const FILE = { message: 4, enum: 5, service: 6 } as const;
const MESSAGE = { field: 2, message: 3, enum: 4 } as const;

type Place = readonly [name: string, path: readonly number[]];

function ofEnum({ name, value }: EnumDescriptorProto, at: readonly number[], within: string): Place[] {
  const full = `${within}${name}`;
  return [[full, at], ...value.map((one, i): Place => [`${full}.${one.name}`, [...at, 2, i]])];
}

function ofMessage(message: DescriptorProto, at: readonly number[], within: string): Place[] {
  // A map's entry is a message that nobody has written.
  if (message.options?.mapEntry === true) return [];
  const full = `${within}${message.name}`;
  return [
    [full, at],
    ...message.field.map(({ name }, i): Place => [`${full}.${name}`, [...at, MESSAGE.field, i]]),
    ...message.nestedType.flatMap((one, i) => ofMessage(one, [...at, MESSAGE.message, i], `${full}.`)),
    ...message.enumType.flatMap((one, i) => ofEnum(one, [...at, MESSAGE.enum, i], `${full}.`)),
  ];
}

/** Every service, method, message, field, enum and value of a file. */
function placesOf({ service, messageType, enumType }: FileDescriptorProto): Place[] {
  return [
    ...service.flatMap(({ name, method }, i): Place[] => [
      [name, [FILE.service, i]],
      ...method.map((one, j): Place => [`${name}.${one.name}`, [FILE.service, i, 2, j]]),
    ]),
    ...messageType.flatMap((one, i) => ofMessage(one, [FILE.message, i], '')),
    ...enumType.flatMap((one, i) => ofEnum(one, [FILE.enum, i], '')),
  ];
}

describe.each(files)('%s', (name) => {
  const file = set.files.find((one) => one.name === name)!;
  const comments = new Map(
    (file.sourceCodeInfo?.location ?? []).map((one) => [one.path.join('.'), one.leadingComments.trim()]),
  );

  test('explains every service, method, message, field, enum and value', () => {
    const places = placesOf(file);
    expect(places.length).toBeGreaterThan(5);
    const silent = places.filter(([, at]) => (comments.get(at.join('.')) ?? '') === '');
    expect(silent.map(([place]) => place)).toEqual([]);
  });
});

describe('a set of files', () => {
  test('has what is imported before what imports it, each once', () => {
    const names = set.files.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, dependency } of set.files) {
      for (const imported of dependency) expect(names.indexOf(imported)).toBeLessThan(names.indexOf(name));
    }
  });

  test('knows the services of the files that were asked for', () => {
    expect(loadProtoSet([`${OURS}/task_service.proto`]).services).toEqual(['gostress.v1.TaskService']);
  });

  test.each([
    ['gostress.v1.TaskService', `${OURS}/task_service.proto`],
    ['gostress.v1.Run.State', `${OURS}/run.proto`],
    ['gostress.v1.Node.name', `${OURS}/cluster.proto`],
    ['google.protobuf.Struct', 'google/protobuf/struct.proto'],
    ['gostress.v1.Nothing', undefined],
    ['', undefined],
  ])('says where %s is', (name, file) => expect(set.fileOf(name)).toBe(file));

  test('marks what may be absent, and the two sides of a stream', () => {
    const task = set.files.find(({ name }) => name === `${OURS}/task_service.proto`)!;
    const method = task.service[0]!.method.find(({ name }) => name === 'WatchRun')!;
    expect([method.clientStreaming, method.serverStreaming]).toEqual([false, true]);
    const info = set.files
      .find(({ name }) => name === `${OURS}/cluster.proto`)!
      .messageType.find(({ name }) => name === 'NodeInfo')!;
    const optional = info.field.filter(({ proto3Optional }) => proto3Optional);
    expect(optional.map(({ name }) => name)).toEqual(['capacity_per_second']);
  });
});
