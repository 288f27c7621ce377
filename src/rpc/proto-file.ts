import { create } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  type FileDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { ProtoTokens } from './proto-tokens.ts';

/**
 * Reads a .proto file into its descriptor, comments included. It knows the language as far as our own files use it: proto3 with
 * messages, enums, oneofs, maps, optional fields, reserved numbers, services; no options, no extensions. (proto-loader's own
 * descriptors have no imports, no file names and no comments.)
 */
export class ProtoFile {
  readonly path: string;
  readonly imports: readonly string[];
  /** Full names of the messages and enums that it declares. */
  readonly symbols: ReadonlyMap<string, TypeKind>;
  /** Every name that reflection may ask for: also services, methods, fields and enum values. */
  readonly names: ReadonlySet<string>;
  readonly services: readonly string[];
  readonly #file: FileInit;
  readonly #references: readonly Reference[];

  /** @param path as other files import it. @throws Error naming file and line */
  constructor(path: string, text: string) {
    this.path = path;
    const parser = new Parser(new ProtoTokens(path, text));
    this.#file = parser.file(path);
    this.#references = parser.references;
    this.symbols = parser.symbols;
    this.names = parser.names;
    this.imports = this.#file.dependency;
    this.services = this.#file.service.map(({ name }) => `${this.#file.package}.${name}`);
  }

  /**
   * @param kindOf what a full name is, in this file or one that it imports
   * @throws Error naming the file and a type that nobody declares
   */
  descriptor(kindOf: (fullName: string) => TypeKind | undefined): FileDescriptorProto {
    for (const { name, scope, set } of this.#references) {
      const found = candidates(name, scope).find((fullName) => kindOf(fullName) !== undefined);
      if (found === undefined) throw new Error(`${this.path}: ${scope}: expected a type, found ${name}`);
      set(`.${found}`, kindOf(found)!);
    }
    return create(FileDescriptorProtoSchema, this.#file);
  }
}

export type TypeKind = 'message' | 'enum';

/** A name of a type as it is written, from its scope outwards. */
function candidates(name: string, scope: string): string[] {
  const parts = scope.split('.');
  return [...parts.keys(), parts.length].reverse().map((depth) => [...parts.slice(0, depth), name].join('.'));
}

interface Reference {
  name: string;
  scope: string;
  set: (typeName: string, kind: TypeKind) => void;
}
interface FieldInit {
  name: string;
  number: number;
  label: Label;
  type: Type;
  typeName?: string;
  jsonName: string;
  oneofIndex?: number;
  proto3Optional?: boolean;
}
interface MessageInit {
  name: string;
  field: FieldInit[];
  nestedType: MessageInit[];
  enumType: EnumInit[];
  oneofDecl: { name: string }[];
  reservedRange: { start: number; end: number }[];
  options?: { mapEntry: boolean };
}
interface EnumInit {
  name: string;
  value: { name: string; number: number }[];
}
interface MethodInit {
  name: string;
  inputType: string;
  outputType: string;
  clientStreaming?: true;
  serverStreaming?: true;
}
interface FileInit {
  name: string;
  package: string;
  syntax: string;
  dependency: string[];
  messageType: MessageInit[];
  enumType: EnumInit[];
  service: { name: string; method: MethodInit[] }[];
  sourceCodeInfo: { location: { path: number[]; span: number[]; leadingComments: string }[] };
}

/** Numbers of the fields of descriptor.proto, of which the paths to comments are made. */
const IN_FILE = { message: 4, enum: 5, service: 6, syntax: 12 } as const;
const IN_MESSAGE = { field: 2, message: 3, enum: 4, oneof: 8 } as const;
const IN_ENUM = { value: 2 } as const;
const IN_SERVICE = { method: 2 } as const;

const SCALARS: Readonly<Record<string, Type>> = {
  double: Type.DOUBLE,
  float: Type.FLOAT,
  int64: Type.INT64,
  uint64: Type.UINT64,
  int32: Type.INT32,
  uint32: Type.UINT32,
  bool: Type.BOOL,
  string: Type.STRING,
  bytes: Type.BYTES,
};

class Parser {
  readonly references: Reference[] = [];
  readonly symbols = new Map<string, TypeKind>();
  readonly names = new Set<string>();
  readonly #tokens: ProtoTokens;
  readonly #locations: FileInit['sourceCodeInfo']['location'] = [];

  constructor(tokens: ProtoTokens) {
    this.#tokens = tokens;
  }

  file(path: string): FileInit {
    const file: FileInit = {
      name: path,
      package: '',
      syntax: 'proto3',
      dependency: [],
      messageType: [],
      enumType: [],
      service: [],
      sourceCodeInfo: { location: this.#locations },
    };
    const tokens = this.#tokens;
    while (!tokens.isAtEnd) {
      const word = tokens.peek();
      if (word === 'message')
        file.messageType.push(this.#message(file.package, [IN_FILE.message, file.messageType.length]));
      else if (word === 'enum') file.enumType.push(this.#enum(file.package, [IN_FILE.enum, file.enumType.length]));
      else if (word === 'service')
        file.service.push(this.#service(file.package, [IN_FILE.service, file.service.length]));
      else this.#statement(file);
    }
    return file;
  }

  /** syntax, package, import. */
  #statement(file: FileInit): void {
    const tokens = this.#tokens;
    if (tokens.peek() === 'syntax') this.#locate([IN_FILE.syntax]);
    if (tokens.skip('syntax')) {
      tokens.expect('=');
      tokens.expect('"proto3"');
    } else if (tokens.skip('package')) file.package = tokens.take().text;
    else if (tokens.skip('import')) file.dependency.push(tokens.string());
    else throw tokens.unexpected('message, enum, service or import');
    tokens.expect(';');
  }

  /** Notes the comment of what the next word begins. */
  #locate(path: number[]): void {
    const { line, column, comment } = this.#tokens.next();
    this.#locations.push({ path, span: [line, column, column + 1], leadingComments: comment });
  }

  /** Takes the keyword, the name and the brace. @returns the full name */
  #open(scope: string, path: number[]): { name: string; fullName: string } {
    this.#locate(path);
    this.#tokens.take();
    const name = this.#tokens.take().text;
    this.#tokens.expect('{');
    const fullName = `${scope}.${name}`;
    this.names.add(fullName);
    return { name, fullName };
  }

  #message(scope: string, path: number[]): MessageInit {
    const { name, fullName } = this.#open(scope, path);
    this.symbols.set(fullName, 'message');
    const message: MessageInit = { name, field: [], nestedType: [], enumType: [], oneofDecl: [], reservedRange: [] };
    const optional: FieldInit[] = [];
    while (!this.#tokens.skip('}')) {
      const word = this.#tokens.peek();
      if (word === 'message') {
        message.nestedType.push(this.#message(fullName, [...path, IN_MESSAGE.message, message.nestedType.length]));
      } else if (word === 'enum') {
        message.enumType.push(this.#enum(fullName, [...path, IN_MESSAGE.enum, message.enumType.length]));
      } else if (word === 'oneof') this.#oneof(message, fullName, path);
      else if (word === 'reserved') this.#reserved(message);
      else {
        const field = this.#field(message, fullName, path);
        if (field.proto3Optional === true) optional.push(field);
      }
    }
    // Each optional field has a oneof of its own, behind those that are written.
    for (const field of optional) field.oneofIndex = message.oneofDecl.push({ name: `_${field.name}` }) - 1;
    return message;
  }

  #oneof(message: MessageInit, scope: string, path: number[]): void {
    const index = message.oneofDecl.length;
    const { name } = this.#open(scope, [...path, IN_MESSAGE.oneof, index]);
    message.oneofDecl.push({ name });
    while (!this.#tokens.skip('}')) this.#field(message, scope, path).oneofIndex = index;
  }

  #reserved(message: MessageInit): void {
    this.#tokens.expect('reserved');
    do {
      const start = this.#tokens.number();
      message.reservedRange.push({ start, end: start + 1 });
    } while (this.#tokens.skip(','));
    this.#tokens.expect(';');
  }

  #field(message: MessageInit, scope: string, path: number[]): FieldInit {
    const tokens = this.#tokens;
    this.#locate([...path, IN_MESSAGE.field, message.field.length]);
    const isRepeated = tokens.skip('repeated');
    const isOptional = !isRepeated && tokens.skip('optional');
    const type = tokens.take().text;
    const map = type === 'map' ? this.#mapTypes() : null;
    const name = tokens.take().text;
    this.names.add(`${scope}.${name}`);
    const label = isRepeated || map !== null ? Label.REPEATED : Label.OPTIONAL;
    const entry = map === null ? null : `${camel(`_${name}`)}Entry`;
    const field = this.#typed({ name, number: this.#numbered(), label, jsonName: camel(name) }, entry ?? type, scope);
    if (isOptional) field.proto3Optional = true;
    message.field.push(field);
    if (map !== null) message.nestedType.push(this.#mapEntry(entry!, map, scope));
    return field;
  }

  #mapTypes(): { key: string; value: string } {
    this.#tokens.expect('<');
    const key = this.#tokens.take().text;
    this.#tokens.expect(',');
    const value = this.#tokens.take().text;
    this.#tokens.expect('>');
    return { key, value };
  }

  #mapEntry(name: string, { key, value }: { key: string; value: string }, scope: string): MessageInit {
    this.symbols.set(`${scope}.${name}`, 'message');
    const of = (part: string, number: number, type: string): FieldInit =>
      this.#typed({ name: part, number, label: Label.OPTIONAL, jsonName: part }, type, scope);
    const field = [of('key', 1, key), of('value', 2, value)];
    return { name, field, nestedType: [], enumType: [], oneofDecl: [], reservedRange: [], options: { mapEntry: true } };
  }

  /** The field with its type, as far as that is known now. */
  #typed(field: Omit<FieldInit, 'type'>, type: string, scope: string): FieldInit {
    const scalar = SCALARS[type];
    if (scalar !== undefined) return { ...field, type: scalar };
    const typed: FieldInit = { ...field, type: Type.MESSAGE };
    this.#refer(type, scope, (typeName, kind) => {
      typed.typeName = typeName;
      typed.type = kind === 'enum' ? Type.ENUM : Type.MESSAGE;
    });
    return typed;
  }

  #refer(name: string, scope: string, set: Reference['set']): void {
    this.references.push({ name, scope, set });
  }

  /** `= 3;` */
  #numbered(): number {
    this.#tokens.expect('=');
    const number = this.#tokens.number();
    this.#tokens.expect(';');
    return number;
  }

  #enum(scope: string, path: number[]): EnumInit {
    const { name, fullName } = this.#open(scope, path);
    this.symbols.set(fullName, 'enum');
    const value: EnumInit['value'] = [];
    while (!this.#tokens.skip('}')) {
      this.#locate([...path, IN_ENUM.value, value.length]);
      const label = this.#tokens.take().text;
      // The values of an enum are names of the scope that it stands in.
      this.names.add(`${scope}.${label}`);
      value.push({ name: label, number: this.#numbered() });
    }
    return { name, value };
  }

  #service(scope: string, path: number[]): FileInit['service'][0] {
    const { name, fullName } = this.#open(scope, path);
    const method: MethodInit[] = [];
    while (!this.#tokens.skip('}')) {
      this.#locate([...path, IN_SERVICE.method, method.length]);
      this.#tokens.expect('rpc');
      const call: MethodInit = { name: this.#tokens.take().text, inputType: '', outputType: '' };
      if (this.#argument(fullName, (type) => (call.inputType = type))) call.clientStreaming = true;
      this.#tokens.expect('returns');
      if (this.#argument(fullName, (type) => (call.outputType = type))) call.serverStreaming = true;
      this.#tokens.expect(';');
      this.names.add(`${fullName}.${call.name}`);
      method.push(call);
    }
    return { name, method };
  }

  /** `(stream Message)`. @returns whether it is a stream */
  #argument(scope: string, set: (typeName: string) => void): boolean {
    this.#tokens.expect('(');
    const isStream = this.#tokens.skip('stream');
    this.#refer(this.#tokens.take().text, scope, set);
    this.#tokens.expect(')');
    return isStream;
  }
}

/** `think_time` → `thinkTime`, `_labels` → `Labels`; as protoc does. */
function camel(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
