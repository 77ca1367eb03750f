# Look at a guest that processes are to be moved from, or to; nothing is changed.
# Arguments: PIDFILE IMAGES PID... (the tree that is to be looked at closely; none at first)

pidfile=$1
images=$2
shift 2

section() {
    printf 'section\t%s\n' "$1"
}

section begin
if [ $# -eq 0 ]; then
    section criu
    if have criu; then
        said=$(criu check 2>&1)
        echo "$?"
        criu -V 2>&1 | head -n 2
        echo "$said" | tail -n 5
    fi
    section nft
    have nft && nft list tables >/dev/null 2>&1 && echo fine
    section pidfile
    [ -z "$pidfile" ] || head -n 1 "$pidfile"
    section mounts
    cat /proc/mounts
    section devices
    for argument in $volumes; do
        path=$(volume "$argument") && echo "$argument $path $(readlink -f "$path")"
    done
    section free
    df -kP "$images" 2>/dev/null || df -kP "${images%/*}" 2>/dev/null
    section stat
    cat /proc/[0-9]*/stat 2>/dev/null
    section cmdline
    head -c 4096 /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '
else
    files=
    spaces=
    for pid in "$@"; do
        files="$files /proc/$pid/status"
        spaces="$spaces /proc/$pid/ns/*"
    done
    section shell
    echo $$
    section status
    head -c 100000 $files /proc/$$/status 2>/dev/null
    section threads
    for pid in "$@"; do
        ls "/proc/$pid/task" 2>/dev/null
    done
    section maps
    head -c 100000000 $(echo "$files" | sed 's/status/maps/g') /dev/null 2>/dev/null
    section spaces
    ls -ld $spaces /proc/$$/ns/* 2>/dev/null
    section open
    ls -l /proc/[0-9]*/fd 2>/dev/null
    section links
    ls -ld /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe 2>/dev/null
    section locks
    cat /proc/locks 2>/dev/null
    section sockets
    for kind in raw raw6 icmp icmp6 sctp udplite; do
        [ -r "/proc/net/$kind" ] || continue
        while read -r _ _ _ _ _ _ _ _ _ inode _; do
            echo "$kind $inode"
        done <"/proc/net/$kind"
    done
fi
section end
echo done
