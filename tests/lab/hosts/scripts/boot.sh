#!/bin/bash
# Pid 1 of a host. Makes the parts of the file system that are the host's own, starts the
# services and reaps whatever ends. Environment: HOST FOLDER SHARED SERVICES GUEST_MEMORY
# GUEST_MEMORY_MB, and what service.sh needs.
set -u
hostname "$HOST"
mount --make-rprivate /
own() { mount --bind "$FOLDER/$1" "$2"; }
own run /run
own openvswitch/lib /var/lib/openvswitch
own openvswitch/etc /etc/openvswitch
own openvswitch/log /var/log/openvswitch
own libvirt/lib /var/lib/libvirt
own libvirt/etc /etc/libvirt
own libvirt/log /var/log/libvirt
own libvirt/cache /var/cache/libvirt
own nova /var/lib/nova
own mount.nfs /usr/sbin/mount.nfs
mount --bind "$SHARED/hosts" /etc/hosts
mount --bind "$SHARED/resolv.conf" /etc/resolv.conf
mount --bind "$SHARED/ssh" /root/.ssh
# guests' memory, which they share with the switch
mount -t tmpfs -o "size=${GUEST_MEMORY_MB}m" guest-memory "$GUEST_MEMORY"
# each boot of the host is seen as one; another kernel as well, if there is a file with its name
cat /proc/sys/kernel/random/uuid > "$FOLDER/boot_id"
own boot_id /proc/sys/kernel/random/boot_id
[ -f "$FOLDER/osrelease" ] && own osrelease /proc/sys/kernel/osrelease

bash "$SCRIPTS/service.sh" start ovsdb
# no guest is running, so whatever ports the switch remembers are of the time before
for port in $(ovs-vsctl --no-wait --timeout=5 list-ports br-int 2>/dev/null | grep -E '^(tap|vhu)'); do
    ovs-vsctl --no-wait --timeout=5 del-port br-int "$port"
done
for service in $SERVICES; do
    [ "$service" = ovsdb ] || bash "$SCRIPTS/service.sh" start "$service"
done
touch /run/booted
trap 'exit 0' TERM
# libvirt's "up" of a new tap is lost when the switch sets the tap promiscuous at the same moment
while :; do
    for flags in /sys/class/net/tap*/flags; do
        { read -r value < "$flags"; } 2>/dev/null || continue
        if ! ((value & 1)); then
            tap=${flags%/flags}
            ip link set "${tap##*/}" up && echo "$(date +%T) ${tap##*/} was down"
        fi
    done
    sleep 0.3 &
    wait $!
done
