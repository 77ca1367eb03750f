#!/bin/bash
# Pid 1 of a host. Makes the parts of the file system that are the host's own, starts the
# services and reaps whatever ends. USR1 makes it reboot, USR2 switch itself off (see
# supervise.sh). Environment: HOST KIND FOLDER SHARED SCRIPTS SERVICES GUEST_MEMORY
# GUEST_MEMORY_MB, and what service.sh needs.
set -u
end() {
    sleep 0.5 # whoever asked for it is told first
    exit "$1"
}
trap 'end 85' USR1
trap 'end 0' USR2
trap 'exit 0' TERM

echo "$(date +%T) $HOST boots"
hostname "$HOST"
rm -rf "$FOLDER/run"
mkdir -p "$FOLDER"/run/{libvirt,lock,openvswitch,sshd,faults,systemd/system}
. "$SCRIPTS/root.sh"
own run /run
own faults /run/faults
mount --bind "$SHARED/ssh" /root/.ssh
# what the machine's own shells do at their start is none of a host's business: bash that sshd
# starts reads these, and what is cut off in them by a power cut could lock out the next one
for file in /root/.bashrc /root/.profile /root/.bash_profile; do
    [ -e "$file" ] && mount --bind /dev/null "$file"
done
case " $FOLDER $SCRIPTS $VENV" in
*" /tmp/"*) ;;
*) mount -t tmpfs tmp /tmp ;;
esac
if [ "$KIND" = virt ]; then
    mkdir -p /etc/openvswitch /var/log/openvswitch /etc/libvirt /var/log/libvirt
    own openvswitch/lib /var/lib/openvswitch
    own openvswitch/etc /etc/openvswitch
    own openvswitch/log /var/log/openvswitch
    own libvirt/lib /var/lib/libvirt
    own libvirt/etc /etc/libvirt
    own libvirt/log /var/log/libvirt
    own libvirt/cache /var/cache/libvirt
    own nova /var/lib/nova
    own mount.nfs /usr/sbin/mount.nfs
    # guests' memory, which they share with the switch
    mount -t tmpfs -o "size=${GUEST_MEMORY_MB}m" guest-memory "$GUEST_MEMORY"
fi
# each boot of the host is seen as one, with the kernel that was installed last
echo $(($(cat "$FOLDER/boots" 2>/dev/null || echo 0) + 1)) > "$FOLDER/boots"
cat /boot/lab-release > "$FOLDER/osrelease"
own osrelease /proc/sys/kernel/osrelease
cat /proc/sys/kernel/random/uuid > "$FOLDER/boot_id"
own boot_id /proc/sys/kernel/random/boot_id
export -p > /run/environment
[ -f /run/faults/slow-boot ] && sleep "$(cat /run/faults/slow-boot)"

for service in $SERVICES; do
    bash "$SCRIPTS/service.sh" start "$service"
    if [ "$service" = ovsdb ]; then
        # no guest is running, so whatever ports the switch remembers are of the time before
        for port in $(ovs-vsctl --no-wait --timeout=5 list-ports br-int 2>/dev/null |
            grep -E '^(tap|vhu)'); do
            ovs-vsctl --no-wait --timeout=5 del-port br-int "$port"
        done
    fi
done
touch /run/booted
while [ "$KIND" = fake ]; do
    sleep infinity &
    wait $!
done
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
