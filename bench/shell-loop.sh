#!/usr/bin/env bash
# What most people run today: the secretary of the CoreOS recipe, with etcdctl's current words.
# Probes with curl every 20 s; while that works, puts the record under a lease of 30 s.
#
#     shell-loop.sh ETCDCTL ETCD_URL KEY IP PORT
set -u
export ETCDCTL_API=3
etcdctl=$1 etcd=$2 key=$3 ip=$4 port=$5

while true; do
    if curl --silent --fail --output /dev/null "http://$ip:$port/healthz"; then
        lease=$("$etcdctl" --endpoints="$etcd" lease grant 30 | cut -d' ' -f2)
        "$etcdctl" --endpoints="$etcd" put --lease="$lease" "$key" \
            "{\"host\": \"$HOSTNAME\", \"ipv4_addr\": \"$ip\", \"port\": $port}" >/dev/null
    else
        "$etcdctl" --endpoints="$etcd" del "$key" >/dev/null
    fi
    sleep 20
done
