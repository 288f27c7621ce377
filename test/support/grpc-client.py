"""A client of the API in Python: gRPC's own runtime, and no file of ours. What it calls it learns from the server by reflection.

    python3 grpc-client.py ADDRESS SERVICE/METHOD JSON

Prints one JSON document: {"messages": [...]}, or with "code", "details" and "violations" of a call that failed.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

DEADLINE_S = 60
FIELD = descriptor_pb2.FieldDescriptorProto


def classes(pool):
    return lambda name: message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(name))


def built_in(messages):
    """Message classes by name, of {message: {field: (number, type or message, repeated)}}: what must be known before reflection."""
    file = descriptor_pb2.FileDescriptorProto(name="built_in.proto", syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = FIELD.TYPE_MESSAGE, f".{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return classes(pool)


KNOWN = built_in(
    {
        # grpc/reflection/v1alpha/reflection.proto
        "Request": {"file_containing_symbol": (4, FIELD.TYPE_STRING, False)},
        "Files": {"file_descriptor_proto": (1, FIELD.TYPE_BYTES, True)},
        "Error": {"error_code": (1, FIELD.TYPE_INT32, False), "error_message": (2, FIELD.TYPE_STRING, False)},
        "Response": {"files": (4, "Files", False), "error": (7, "Error", False)},
        # google/rpc/status.proto, google/protobuf/any.proto
        "Any": {"type_url": (1, FIELD.TYPE_STRING, False), "value": (2, FIELD.TYPE_BYTES, False)},
        "Status": {"details": (3, "Any", True)},
    }
)


def learn(channel, *symbols):
    """The pool of all files that the symbols need."""
    ask = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=KNOWN("Request").SerializeToString,
        response_deserializer=KNOWN("Response").FromString,
    )
    requests = [KNOWN("Request")(file_containing_symbol=symbol) for symbol in symbols]
    files = {}
    for response in ask(iter(requests), timeout=DEADLINE_S):
        if response.HasField("error"):
            sys.exit(f"reflection: {response.error.error_message}")
        for data in response.files.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            files[file.name] = file
    pool = descriptor_pool.DescriptorPool()

    def add(name):
        file = files.pop(name, None)
        if file is None:
            return
        for imported in file.dependency:
            add(imported)
        pool.Add(file)

    for name in list(files):
        add(name)
    return pool


def violations(error, bad_request):
    """Of google.rpc.BadRequest in the details of an error."""
    found = []
    for key, value in error.trailing_metadata():
        if key != "grpc-status-details-bin":
            continue
        for detail in KNOWN("Status").FromString(value).details:
            if detail.type_url.endswith("/google.rpc.BadRequest"):
                found += [violation.field for violation in bad_request.FromString(detail.value).field_violations]
    return found


def call(address, path, request):
    with grpc.insecure_channel(address) as channel:
        service, method = path.split("/")
        pool = learn(channel, service, "google.rpc.BadRequest")
        message = classes(pool)
        described = pool.FindServiceByName(service).methods_by_name[method]
        proto = descriptor_pb2.MethodDescriptorProto()
        described.CopyToProto(proto)
        kind = channel.unary_stream if proto.server_streaming else channel.unary_unary
        send = kind(
            f"/{path}",
            request_serializer=message(described.input_type.full_name).SerializeToString,
            response_deserializer=message(described.output_type.full_name).FromString,
        )
        asked = json_format.ParseDict(request, message(described.input_type.full_name)())
        try:
            answer = send(asked, timeout=DEADLINE_S)
            answers = list(answer) if proto.server_streaming else [answer]
        except grpc.RpcError as error:
            fields = violations(error, message("google.rpc.BadRequest"))
            return {"code": error.code().name, "details": error.details(), "violations": fields}
        return {"messages": [json_format.MessageToDict(each) for each in answers]}


if __name__ == "__main__":
    print(json.dumps(call(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
