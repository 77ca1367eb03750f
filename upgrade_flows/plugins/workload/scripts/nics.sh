# Interfaces and volumes that are plugged into a running guest.
# An interface is told as MAC|GATEWAY|ADDRESS/LENGTH,..., a volume by its first 20 characters.

# link_of MAC: the interface's name as $link
link_of() {
    link=
    for net in /sys/class/net/*; do
        [ -r "$net/address" ] && read -r address <"$net/address" && [ "$address" = "$1" ] || continue
        [ -e "$net/bridge" ] || [ -e "$net/bonding" ] && continue
        if [ -e "$net/device" ]; then
            link=${net##*/}
            return 0
        fi
        link=${link:-${net##*/}}
    done
    [ -n "$link" ]
}

# family ADDRESS: ip's word for it, as $of
family() {
    case $1 in
    *:*) of=-6 ;;
    *) of=-4 ;;
    esac
}

# know_ip: whether it takes many commands at once, as $batches; better asked beforehand
batches=
know_ip() {
    [ -z "$batches" ] || return 0
    case $(ip -V 2>&1) in
    *iproute2*) batches=yes ;;
    *) batches=no ;;
    esac
}

# ips [FAMILY]: do what each line says, in one process if it can be, for they are dear in a guest
# that has just got an interface; fails if a line does
ips() {
    if [ "$batches" = yes ]; then
        ip $1 -force -batch - 2>/dev/null
        return
    fi
    failed=0
    while read -r words; do
        ip $1 ${words% nodad} 2>/dev/null || failed=1
    done
    return "$failed"
}

# has_all LINK ADDRESS/LENGTH...
has_all() {
    shown=" $(ip addr show dev "$1" 2>/dev/null) "
    shift
    for wanted in "$@"; do
        case $shown in
        *" $wanted "*) ;;
        *) return 1 ;;
        esac
    done
}

# parts_of INTERFACE: as $mac, $gateway and $ours; without another process
parts_of() {
    mac=${1%%|*}
    rest=${1#*|}
    gateway=${rest%%|*}
    rest=${rest#*|},
    ours=
    while [ -n "$rest" ]; do
        ours="$ours ${rest%%,*}"
        rest=${rest#*,}
    done
}

# routes LINK ADDRESS/LENGTH GATEWAY: what comes from the address leaves by its own interface
# (a busybox knows no tables above 255)
routes() {
    family "$3"
    [ -n "$3" ] && gateway_of=$of || gateway_of=
    family "$2"
    table=$((100 + index % 100))
    {
        echo "rule del from ${2%/*} table $table"
        ip "$of" route show dev "$1" 2>/dev/null | while read -r prefix words; do
            case "$prefix $words" in
            */*" via "*) ;;
            */*) echo "route replace $prefix dev $1 table $table" ;;
            esac
        done
        if [ "$gateway_of" = "$of" ]; then
            echo "route replace default via $3 dev $1 table $table"
            echo "route add default via $3 dev $1 metric 9000"
        fi
        echo "rule add from ${2%/*} table $table"
    } | ips "$of"
    return 0
}

# tell LINK ADDRESS/LENGTH GATEWAY: say on the network that the address is here
tell() {
    case $2 in
    *:*) ;;
    *) have arping && arping -U -c 1 -w 1 -I "$1" "${2%/*}" ;;
    esac
    [ -n "$3" ] || return 0
    family "$2" && of_address=$of && family "$3"
    [ "$of" = "$of_address" ] && ping -c 1 -W 1 -I "$1" "$3"
}

# bring_up INTERFACE: fails while it is not there; what has been brought up is noted, and only
# looked at again, but not even that while $trusting is set
trusting=
bring_up() {
    parts_of "$1"
    link_of "$mac" && read -r index <"/sys/class/net/$link/ifindex" || return 1
    if [ -e "$here/up.$index" ]; then
        [ -n "$trusting" ] || has_all "$link" $ours && return 0
    else
        know_ip
        echo 1 2>/dev/null >/proc/sys/net/ipv4/conf/all/arp_ignore
        echo 2 2>/dev/null >/proc/sys/net/ipv4/conf/all/arp_announce
    fi
    {
        echo "link set dev $link up"
        for each in $ours; do
            family "$each"
            [ "$of" = -4 ] && echo "addr add $each dev $link" ||
                echo "addr add $each dev $link nodad"
        done
    } | ips || has_all "$link" $ours || return 1
    for each in $ours; do
        routes "$link" "$each" "$gateway"
        tell "$link" "$each" "$gateway" >/dev/null 2>&1 </dev/null &
    done
    : >"$here/up.$index"
}

# bring_up_all INTERFACE...: fails while one is missing
bring_up_all() {
    all=0
    for one in "$@"; do
        bring_up "$one" || all=1
    done
    return "$all"
}

# watch INTERFACE...: bring them up whenever they come, until unwatch; what was brought up is
# looked at once in a while only, for the guest has better things to do
watch_nics() {
    unwatch
    mkdir -p "$here"
    (
        trap '' HUP
        know_ip
        turn=0
        while :; do
            turn=$(((turn + 1) % 20))
            [ "$turn" -eq 0 ] && trusting= || trusting=yes
            bring_up_all "$@"
            sleep 0.2 2>/dev/null || nap
        done
    ) >/dev/null 2>&1 </dev/null &
    echo $! >"$here/nics.pid"
}

# watched: whether somebody brings interfaces up as they come
watched() {
    [ -r "$here/nics.pid" ] && read -r watcher <"$here/nics.pid" && kill -0 "$watcher" 2>/dev/null
}

is_up() {
    parts_of "$1"
    link_of "$mac" && read -r index <"/sys/class/net/$link/ifindex" && [ -e "$here/up.$index" ]
}

# arrives INTERFACE: fails while it is not up; whoever watches is at it already, and two are slower
arrives() {
    if watched; then is_up "$1"; else bring_up "$1"; fi
}

unwatch() {
    rm -f "$here"/up.*
    [ -r "$here/nics.pid" ] || return 0
    read -r watcher <"$here/nics.pid"
    rm -f "$here/nics.pid"
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
    return 0
}

# volume ID: the path of its device, the one that lasts where there is one
volume() {
    for link in "/dev/disk/by-id/virtio-$1" /dev/disk/by-id/*"$1"*; do
        case $link in
        *-part[0-9]*) continue ;;
        esac
        if [ -b "$link" ]; then
            echo "$link"
            return 0
        fi
    done
    for serial in /sys/block/*/serial; do
        [ -r "$serial" ] && [ "$(cat "$serial")" = "$1" ] || continue
        block=${serial%/serial}
        [ -b "/dev/${block##*/}" ] || continue
        echo "/dev/${block##*/}"
        return 0
    done
    return 1
}

there() {
    volume "$1" >/dev/null
}

# come SECONDS [n=INTERFACE | v=VOLUME]...: wait for them all; says which do not come
come() {
    mkdir -p "$here"
    know_ip
    patience=$1
    shift
    for each_of in "$@"; do
        case $each_of in
        n=*) until_done "$patience" arrives "${each_of#n=}" ||
            fail "the interface ${each_of#n=} did not come within $patience s" ;;
        v=*) until_done "$patience" there "${each_of#v=}" ||
            fail "the volume ${each_of#v=} did not come within $patience s" ;;
        esac
    done
}
