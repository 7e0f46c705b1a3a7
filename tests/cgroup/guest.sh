#!/usr/bin/env bash
# In the guest: installs Roost as an operator would, with the units as they are shipped, and runs the scenarios on it. All of it is on
# loopback; there is no other network. The last line says how it ended.
set -euo pipefail
cd "$(dirname "$0")"

ended() { echo "test-cgroup: guest ended with $?"; }
trap ended EXIT

install_programs() {
  install -m 755 roost roost-node roost-coordinator roost-simulator roost-cgroups /usr/bin
  install -m 644 -D wppconnect-wa.js /usr/share/roost/wppconnect-wa.js
  install -m 644 roost-node.service roost-coordinator.service /etc/systemd/system
}

# As docs/operating.md has it: secrets are their owner's alone to read.
configure() {
  useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin roost
  install -d -m 755 /etc/roost
  local secret
  for secret in cluster.secret snapshot.key token; do
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >/etc/roost/$secret
  done
  chmod 600 /etc/roost/*
  # On an emulated processor a start takes minutes and a keepalive seconds; what is short of time there is nobody's fault.
  local pace=()
  if grep -q roost.emulated /proc/cmdline; then
    pace=(ROOST_LEASE_TTL=60s ROOST_NODE_START_DEADLINE=10m ROOST_NODE_PROBE_EVERY=30s ROOST_NODE_SPARE_BROWSERS=0)
  fi
  cat >/etc/roost/coordinator.env <<-END
	ROOST_CLUSTER=guest
	ROOST_ETCD=http://127.0.0.1:2379
	ROOST_DATABASE_URL=postgres://roost@127.0.0.1/roost?sslmode=disable
	ROOST_COORDINATOR_ID=coordinator-1
	ROOST_COORDINATOR_LISTEN=127.0.0.1:7100
	ROOST_COORDINATOR_TOKEN_FILE=/etc/roost/token
	END
  cat >/etc/roost/node.env <<-END
	ROOST_CLUSTER=guest
	ROOST_ETCD=http://127.0.0.1:2379
	ROOST_DATABASE_URL=postgres://roost@127.0.0.1/roost?sslmode=disable
	ROOST_NODE_ID=node-1
	ROOST_NODE_OBJECT_STORE=/var/lib/roost/snapshots
	ROOST_NODE_SNAPSHOT_KEY_FILE=/etc/roost/snapshot.key
	ROOST_NODE_PAGE_URL=http://127.0.0.1:7200
	ROOST_BRIDGE=/usr/share/roost/wppconnect-wa.js
	ROOST_BROWSER=/usr/lib/chromium/chromium-headless-shell
	END
  printf '%s\n' "${pace[@]}" | tee -a /etc/roost/coordinator.env >>/etc/roost/node.env
  chmod 640 /etc/roost/*.env
  chown -R roost:roost /etc/roost
}

start() {
  # Nobody else is in the guest: no connection has to prove who it is.
  sed -i 's/scram-sha-256$/trust/' /etc/postgresql/*/main/pg_hba.conf
  systemctl reload postgresql@*-main
  until runuser -u postgres -- psql -q -c 'select' >/dev/null 2>&1; do sleep 0.2; done
  runuser -u postgres -- psql -q -c 'create role roost login' -c 'create database roost owner roost'
  systemd-run --quiet --unit=roost-simulator roost-simulator --http 127.0.0.1:7200
  systemctl daemon-reload
  systemctl start roost-coordinator roost-node
}

install_programs
configure
start
systemd-detect-virt | sed "s/^/test-cgroup: guest on /;s/\$/, Linux $(uname -r), $(systemctl --version | head -1 | cut -d' ' -f1,2)/"
roost-cgroups --simulator http://127.0.0.1:7200 --admin 127.0.0.1:7100 --token-file /etc/roost/token || {
  code=$?
  echo "--- the end of the node's log"
  journalctl --no-pager -o cat -n 60 -u roost-node -u roost-coordinator
  exit $code
}
