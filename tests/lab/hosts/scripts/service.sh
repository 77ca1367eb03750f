#!/bin/bash
# service.sh start|stop|kill|running SERVICE, inside a host. Pids are in its /run/SERVICE.pid.
# Environment: VENV NOVA_CONF COMPUTE_CONF
set -u
action=$1
service=$2
pidfile=/run/$service.pid
log=/var/log/$service.out

background() {
    (
        echo "$BASHPID" > "$pidfile"
        exec setsid "$@"
    ) < /dev/null >> "$log" 2>&1 &
}

running() { [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }

start_ovsdb() {
    [ -f /etc/openvswitch/conf.db ] ||
        ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
    ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock \
        --pidfile="$pidfile" --log-file=/var/log/openvswitch/ovsdb.log -vconsole:off \
        --detach --no-chdir < /dev/null >> "$log" 2>&1
    # DPDK without huge pages and without devices: it serves the guests' vhost-user ports only
    ovs-vsctl --no-wait init -- set Open_vSwitch . \
        other_config:dpdk-init=true \
        "other_config:dpdk-extra=\"--no-huge --legacy-mem -m 512 --no-pci\"" \
        other_config:vhost-sock-dir=. \
        other_config:dpdk-lcore-mask=0x1 \
        other_config:pmd-cpu-mask=0x2 \
        other_config:pmd-maxsleep=500 \
        other_config:per-port-memory=true
}

start_vswitchd() {
    /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk unix:/run/openvswitch/db.sock \
        -vconsole:off -vfile:info --log-file=/var/log/openvswitch/vswitchd.log \
        --pidfile="$pidfile" --detach --no-chdir < /dev/null >> "$log" 2>&1
    # no controller: the bridge learns addresses like any switch
    ovs-vsctl --timeout=20 --may-exist add-br br-int \
        -- set bridge br-int datapath_type=netdev -- --may-exist add-port br-int eth1
    # a guest that left while the switch was away took its tap along
    for port in $(ovs-vsctl --timeout=5 list-ports br-int | grep '^tap'); do
        [ -e "/sys/class/net/$port" ] || ovs-vsctl --timeout=5 del-port br-int "$port"
    done
}

start_libvirtd() {
    rm -f /run/libvirt/libvirt-sock
    background /usr/sbin/libvirtd --listen
    for _ in $(seq 200); do
        [ -S /run/libvirt/libvirt-sock ] && break
        sleep 0.1
    done
}

start_nova_compute() {
    if [ -e /run/faults/without-compute ]; then
        echo "nova-compute fails: /run/faults/without-compute" >&2
        exit 1
    fi
    background "$VENV/bin/nova-compute" --config-file "$NOVA_CONF" --config-file "$COMPUTE_CONF"
}

case $action in
running) running ;;
start)
    running && exit 0
    case $service in
    ovsdb) start_ovsdb ;;
    vswitchd) start_vswitchd ;;
    libvirtd) start_libvirtd ;;
    sshd) background /usr/sbin/sshd -D ;;
    nova-compute) start_nova_compute ;;
    *) echo "no service $service" >&2; exit 2 ;;
    esac
    ;;
stop | kill)
    running || exit 0
    pid=$(cat "$pidfile")
    [ "$action" = kill ] && kill -9 "$pid" || kill "$pid"
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || exit 0
        sleep 0.1
    done
    kill -9 "$pid"
    ;;
esac
