#!/usr/bin/env bash
# `npm run test:setup`: installs the Debian packages whose commands the tests run, those that are missing, and builds
# grpcurl where Go is. As another user than root it says what to install and goes on: a test that needs a missing one
# says so.
set -euo pipefail

# command=Debian package
needed=(
  curl=curl openssl=openssl script=bsdutils etcd=etcd-server mariadbd=mariadb-server nginx=nginx-light
  systemd-analyze=systemd faketime=faketime sqlite3=sqlite3
)

# Servers are in /usr/sbin, which is not on every user's PATH.
PATH="$PATH:/usr/sbin"
missing=()
for pair in "${needed[@]}"; do
  command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done

# The API's tests call it with the grpcurl that people use; without it they are skipped.
build_grpcurl() {
  command -v grpcurl >/dev/null || [ -x "$HOME/go/bin/grpcurl" ] && return
  local go
  go=$(PATH="$PATH:/usr/local/go/bin" command -v go) || {
    echo "test:setup: neither grpcurl nor Go is here: the tests that call grpcurl will be skipped" >&2
    return
  }
  local bin="$HOME/go/bin"
  if [ "$(id -u)" -eq 0 ]; then bin=/usr/local/bin; fi
  GOBIN="$bin" timeout 600 "$go" install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 ||
    echo "test:setup: grpcurl could not be built: the tests that call it will be skipped" >&2
}
build_grpcurl

# Python's gRPC is a second client; Debian has it as modules of its own Python.
/usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null || missing+=(python3 python3-grpcio python3-protobuf)

if [ "${#missing[@]}" -eq 0 ]; then
  echo "test:setup: everything is here"
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "test:setup: the tests need these Debian packages, please install them: ${missing[*]}" >&2
  exit 0
fi

# The tests start their own servers: this keeps packages from starting theirs while they are being installed.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
