#!/bin/bash
# The power of a host: boots it, and boots it again when its pid 1 ended with 85. Ends with it
# otherwise. Environment: NETNS FOLDER SCRIPTS, and what boot.sh needs.
set -u
REBOOT=85
# the end of unshare is the end of everything inside
namespaces=(--mount --uts --ipc --pid --fork --mount-proc --kill-child=KILL)
while :; do
    ${NETNS:+ip netns exec "$NETNS"} unshare "${namespaces[@]}" bash "$SCRIPTS/boot.sh"
    [ $? = $REBOOT ] || exit 0
    rm -f "$FOLDER/run/openvswitch/db.sock"
    rm "$FOLDER/faults/stay-down" 2>/dev/null && exit 0
    sleep 2
done
