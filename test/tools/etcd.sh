#!/usr/bin/env bash
# Builds a current etcd, since Debian's is 3.4, and prints where it is, for GOSTRESS_TEST_ETCD. Needs Go 1.25 or newer; a minute
# at first, and nothing when it was built before. `go install` of it is refused: its go.mod has replacements.
set -euo pipefail
version=${1:-3.6.9}
folder=${XDG_CACHE_HOME:-$HOME/.cache}/gostress
built=$folder/etcd-$version
PATH="$PATH:/usr/local/go/bin"

if [ ! -x "$built" ]; then
  command -v go >/dev/null || {
    echo "etcd $version: expected Go to build it with, found none" >&2
    exit 1
  }
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cat >"$work/main.go" <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
  mkdir -p "$folder"
  (
    cd "$work"
    go mod init etcd
    timeout 300 go get "go.etcd.io/etcd/server/v3/etcdmain@v$version"
    timeout 600 go build -o "$built.new" .
  ) >&2
  mv "$built.new" "$built"
fi
echo "$built"
