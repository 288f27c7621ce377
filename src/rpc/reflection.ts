import { status, type handleBidiStreamingCall, type MethodDefinition } from '@grpc/grpc-js';
import { toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { show } from '../lib/show.ts';
import { loadProto } from './loader.ts';
import { loadProtoSet } from './proto-set.ts';
import { PUBLIC_PROTOS } from './schema.ts';

/** grpc.reflection.v1 and v1alpha: what grpcurl asks for before it calls anything. The two differ in their package only. */

interface Request {
  host: string;
  messageRequest?:
    | 'fileByFilename'
    | 'fileContainingSymbol'
    | 'fileContainingExtension'
    | 'allExtensionNumbersOfType'
    | 'listServices';
  fileByFilename?: string;
  fileContainingSymbol?: string;
  allExtensionNumbersOfType?: string;
}
type Answer =
  | { fileDescriptorResponse: { fileDescriptorProto: readonly Uint8Array[] } }
  | { allExtensionNumbersResponse: { baseTypeName: string; extensionNumber: number[] } }
  | { listServicesResponse: { service: readonly { name: string }[] } }
  | { errorResponse: { errorCode: number; errorMessage: string } };
type Response = { validHost: string; originalRequest: Request } & Answer;

const VERSIONS = ['v1', 'v1alpha'] as const;
const HEALTH = 'grpc/health/v1/health.proto';
/** What is in the details of errors. */
const DETAILS = 'google/rpc/error_details.proto';

export interface ReflectionService {
  definition: Record<string, MethodDefinition<Request, Response>>;
  implementation: { ServerReflectionInfo: handleBidiStreamingCall<Request, Response> };
}

/** Both versions, to be added to a server. */
export function reflectionServices(): ReflectionService[] {
  const files = VERSIONS.map((version) => `grpc/reflection/${version}/reflection.proto`);
  const answer = answerer([...PUBLIC_PROTOS, HEALTH, DETAILS, ...files]);
  return VERSIONS.map((version, i) => ({
    definition: loadProto(files[i]!)[`grpc.reflection.${version}.ServerReflection`] as ReflectionService['definition'],
    implementation: {
      ServerReflectionInfo: (call) => {
        call.on('data', (request: Request) => {
          call.write({ validHost: request.host, originalRequest: request, ...answer(request) });
        });
        call.on('end', () => call.end());
        call.on('error', () => undefined);
      },
    },
  }));
}

function answerer(paths: readonly string[]): (request: Request) => Answer {
  const set = loadProtoSet(paths);
  const services = { listServicesResponse: { service: set.services.toSorted().map((name) => ({ name })) } };
  const bytes = new Map(set.files.map((file) => [file.name, toBinary(FileDescriptorProtoSchema, file)]));
  const imports = new Map(set.files.map((file) => [file.name, file.dependency]));
  /** The file, and then what it needs. */
  const withImports = (path: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(path)) return seen;
    seen.add(path);
    for (const imported of imports.get(path) ?? []) withImports(imported, seen);
    return seen;
  };
  const fileAnswer = (path: string | undefined, what: string): Answer =>
    path === undefined || !bytes.has(path)
      ? notFound(what)
      : { fileDescriptorResponse: { fileDescriptorProto: [...withImports(path)].map((file) => bytes.get(file)!) } };
  return (request) => {
    switch (request.messageRequest) {
      case 'listServices':
        return services;
      case 'fileByFilename':
        return fileAnswer(request.fileByFilename, show(request.fileByFilename));
      case 'fileContainingSymbol':
        return fileAnswer(set.fileOf(request.fileContainingSymbol ?? ''), show(request.fileContainingSymbol));
      case 'allExtensionNumbersOfType': {
        const baseTypeName = request.allExtensionNumbersOfType ?? '';
        if (set.fileOf(baseTypeName) === undefined) return notFound(show(baseTypeName));
        return { allExtensionNumbersResponse: { baseTypeName, extensionNumber: [] } };
      }
      case 'fileContainingExtension':
        return notFound('an extension');
      default:
        return error(status.INVALID_ARGUMENT, 'expected a question, found none');
    }
  };
}

function notFound(what: string): Answer {
  return error(status.NOT_FOUND, `expected a name of this server, found ${what}`);
}

function error(errorCode: status, errorMessage: string): Answer {
  return { errorResponse: { errorCode, errorMessage } };
}
