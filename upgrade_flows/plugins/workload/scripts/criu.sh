# Checkpoint and restore. Variables: mark (names what is ours), role, pid and start (of the tree's
# root in the original), addresses, port (of ssh), images, mounts (VOLUME|FOLDER|TYPE|OPTIONS ...),
# predump, options, patience. All that is kept between the phases is in $work, on the volume, and in $state.

work=$images/upgrade-flows-$mark
state=$here/criu-$mark
mkdir -p "$here"
trap '' HUP PIPE

# alone SECONDS: wait until an earlier one of these scripts has ended
alone() {
    until_done "$1" take_turn || fail "an earlier attempt has not ended within $1 s"
    echo $$ >"$here/busy/pid"
    trap 'rm -rf "$here/busy"' EXIT
}

take_turn() {
    mkdir "$here/busy" 2>/dev/null && return 0
    holder=
    [ -r "$here/busy/pid" ] && read -r holder <"$here/busy/pid"
    [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null && rm -rf "$here/busy"
    return 1
}

# began PID: when a process began
began() {
    [ -r "/proc/$1/stat" ] && stat=$(cat "/proc/$1/stat" 2>/dev/null) && [ -n "$stat" ] || return 1
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "$1" != X ] || return 1
    shift 19
    echo "$1"
}

# the pid of the tree's root in this guest; fails where it does not run
running() {
    if [ -r "$state" ]; then
        read -r restored since <"$state"
        [ "$(began "$restored")" = "$since" ] && echo "$restored" && return 0
    fi
    [ "$role" = original ] && [ "$(began "$pid")" = "$start" ] && echo "$pid"
}

# let nobody but ssh come to the carried addresses: the kernel would say that it knows no such
# connection (58: neighbours and routers of IPv6; a guest may not know the name)
lock() {
    {
        echo "table inet upgrade-flows"
        echo "delete table inet upgrade-flows"
        echo "table inet upgrade-flows {"
        echo "chain input {"
        echo "type filter hook input priority -300; policy accept;"
        echo "meta l4proto 58 accept"
        for address in $addresses; do
            kind=ip
            family "$address"
            [ "$of" = -4 ] || kind=ip6
            echo "$kind daddr ${address%/*} tcp dport $port accept"
            echo "$kind daddr ${address%/*} drop"
        done
        echo "}"
        echo "}"
    } >"$here/lock.nft"
    said=$(nft -f "$here/lock.nft" 2>&1) || fail "nft refuses the lock: $said"
}

# what criu locked at the dump is named after the root's pid
unlock() {
    for table in upgrade-flows "CRIU-$pid" "$@"; do
        nft delete table inet "$table" 2>/dev/null
    done
    return 0
}

is_mounted() {
    grep -q "^[^ ]* $1 " /proc/mounts
}

mount_all() {
    for each_mount in $mounts; do
        id=${each_mount%%|*}
        rest=${each_mount#*|}
        folder=${rest%%|*}
        rest=${rest#*|}
        is_mounted "$folder" && continue
        until_done "$patience" there "$id" || fail "the volume $id did not come within $patience s"
        mkdir -p "$folder"
        said=$(mount -t "${rest%%|*}" -o "${rest#*|}" "$(volume "$id")" "$folder" 2>&1) ||
            fail "$folder cannot be mounted: $said"
    done
}

let_go() {
    said=$(umount "$1" 2>&1)
}

umount_all() {
    cd /
    last_first=
    for each_mount in $mounts; do
        rest=${each_mount#*|}
        last_first="${rest%%|*} $last_first"
    done
    for folder in $last_first; do
        is_mounted "$folder" || continue
        until_done 2 let_go "$folder" || fail "$folder cannot be unmounted: $said"
    done
}

# dump PID NAME: end the tree, and leave its images in a folder of $work
dump() {
    rm -rf "${work:?}/$2"
    mkdir -p "$work/$2"
    chmod 700 "$work"
    before=
    if [ "$2" = cut ] && [ "$predump" -gt 0 ] && [ -d "$work/pre$predump" ]; then
        before="--track-mem --prev-images-dir ../pre$predump"
    fi
    criu dump -t "$1" -D "$work/$2" -o dump.log -v1 --tcp-established \
        --network-lock nftables $before $options >"$work/$2/said.log" 2>&1 </dev/null
    code=$?
    [ "$code" -eq 0 ] && : >"$work/$2/complete" && return 0
    why="criu dump ended with $code: $(end_of "$work/$2/said.log" "$work/$2/dump.log")"
    return 1
}

# restore NAME: run the tree from the images in a folder of $work
restore() {
    rm -f "$here/criu.pid" "$here/restore.log"
    criu restore -d -D "$work/$1" -o "$here/restore.log" -v1 --tcp-established \
        --pidfile "$here/criu.pid" $options >"$here/said.log" 2>&1 </dev/null
    code=$?
    if [ "$code" -ne 0 ]; then
        why="criu restore ended with $code: $(end_of "$here/said.log" "$here/restore.log")"
        return 1
    fi
    read -r restored <"$here/criu.pid"
    echo "$restored $(began "$restored")" >"$state"
}

end_of() {
    cat "$@" 2>/dev/null | grep -v '^$' | tail -n 8
}

# forget FOLDER...: in the background, for they are large
forget() {
    (rm -rf "$@") >/dev/null 2>&1 </dev/null &
}
