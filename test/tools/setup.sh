#!/usr/bin/env bash
# `npm run test:setup`: installs the Debian packages whose commands the tests run, those that are missing. As another
# user than root it says what to install and goes on: a test that needs a missing one says so.
set -euo pipefail

# command=Debian package
needed=(curl=curl openssl=openssl script=bsdutils)

# Servers are in /usr/sbin, which is not on every user's PATH.
PATH="$PATH:/usr/sbin"
missing=()
for pair in "${needed[@]}"; do
  command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done

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
