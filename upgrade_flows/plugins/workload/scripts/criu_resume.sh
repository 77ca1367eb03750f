# Run the tree in the surrogate.
# Arguments: n=INTERFACE...

alone "$patience"
if ! running >/dev/null; then
    lock
    : >"$here/waits"
    mount_all
    come "$patience" "$@"
    rm "$here/waits" 2>/dev/null || fail "it is not wanted any more"
    [ -e "$work/cut/complete" ] || fail "there are no images of the processes in $work"
    : >"$work/used"
    sync "$work/used" 2>/dev/null || sync
    if ! restore cut; then
        rm -f "$work/used"
        fail "$why"
    fi
fi
unlock
unwatch
forget "$work/cut" "$work"/pre*
