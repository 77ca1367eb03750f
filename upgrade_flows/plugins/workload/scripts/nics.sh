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

family() {
    case $1 in
    *:*) echo -6 ;;
    *) echo -4 ;;
    esac
}

# has LINK ADDRESS/LENGTH
has() {
    ip "$(family "$2")" addr show dev "$1" 2>/dev/null | grep -qF " $2 "
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
    of=$(family "$2")
    table=$((100 + index % 100))
    ip "$of" rule del from "${2%/*}" table "$table" 2>/dev/null
    ip "$of" route show dev "$1" 2>/dev/null | while read -r prefix words; do
        case "$prefix $words" in
        */*" via "*) ;;
        */*) ip "$of" route replace "$prefix" dev "$1" table "$table" 2>/dev/null ;;
        esac
    done
    if [ -n "$3" ] && [ "$of" = "$(family "$3")" ]; then
        ip "$of" route replace default via "$3" dev "$1" table "$table" 2>/dev/null
        ip "$of" route add default via "$3" dev "$1" metric 9000 2>/dev/null
    fi
    ip "$of" rule add from "${2%/*}" table "$table" 2>/dev/null
    return 0
}

# tell LINK ADDRESS/LENGTH GATEWAY: say on the network that the address is here
tell() {
    case $2 in
    *:*) ;;
    *) have arping && arping -U -c 1 -w 1 -I "$1" "${2%/*}" ;;
    esac
    [ -n "$3" ] && [ "$(family "$2")" = "$(family "$3")" ] && ping -c 1 -W 1 -I "$1" "$3"
}

# bring_up INTERFACE: fails while it is not there; what has been brought up is noted, and only
# looked at again, but not even that while $trusting is set
trusting=
bring_up() {
    parts_of "$1"
    link_of "$mac" && read -r index <"/sys/class/net/$link/ifindex" || return 1
    fresh=
    if [ ! -e "$here/up.$index" ]; then
        fresh=yes
        echo 1 2>/dev/null >/proc/sys/net/ipv4/conf/all/arp_ignore
        echo 2 2>/dev/null >/proc/sys/net/ipv4/conf/all/arp_announce
        ip link set dev "$link" up || return 1
    elif [ -n "$trusting" ]; then
        return 0
    fi
    for each in $ours; do
        [ -z "$fresh" ] && has "$link" "$each" && continue
        ip addr add "$each" dev "$link" nodad 2>/dev/null ||
            ip addr add "$each" dev "$link" 2>/dev/null
        has "$link" "$each" || return 1
        routes "$link" "$each" "$gateway"
        tell "$link" "$each" "$gateway" >/dev/null 2>&1 </dev/null &
    done
    [ -z "$fresh" ] || : >"$here/up.$index"
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

# watched INTERFACE: whether somebody watches for it, and has not brought it up yet
watched() {
    [ -r "$here/nics.pid" ] && read -r watcher <"$here/nics.pid" &&
        kill -0 "$watcher" 2>/dev/null && ! is_up "$1"
}

is_up() {
    parts_of "$1"
    link_of "$mac" && read -r index <"/sys/class/net/$link/ifindex" && [ -e "$here/up.$index" ]
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
    patience=$1
    shift
    for each_of in "$@"; do
        case $each_of in
        n=*)
            # whoever watches is at it already: two are slower than one
            watched "${each_of#n=}" && until_done 2 is_up "${each_of#n=}"
            until_done "$patience" bring_up "${each_of#n=}" ||
                fail "the interface ${each_of#n=} did not come within $patience s"
            ;;
        v=*) until_done "$patience" there "${each_of#v=}" ||
            fail "the volume ${each_of#v=} did not come within $patience s" ;;
        esac
    done
}
