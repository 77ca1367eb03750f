# Take the tree out of the original, and let go of its volumes.
# Arguments: INTERFACE... that may come back

alone "$patience"
if tree=$(running); then
    lock
    if ! dump "$tree" cut; then
        unlock
        fail "$why"
    fi
    rm -f "$state"
elif [ -e "$work/cut/stats-dump" ] && [ ! -e "$work/cut/complete" ]; then
    : >"$work/cut/complete" # criu had ended, and nobody has noted it
fi
is_cut() {
    for each_mount in $mounts; do
        rest=${each_mount#*|}
        is_mounted "${rest%%|*}" && return 1
    done
    return 0
}
[ -e "$work/cut/complete" ] || is_cut || fail "the process $pid has ended, and left no images"
umount_all
watch_nics "$@"
