# Run the tree in the original again.
# Arguments: n=INTERFACE...; says what became of it: runs, restored, or stale

alone "$patience"
come "$patience" "$@"
unwatch
if running >/dev/null; then
    mount_all
    unlock
    say became runs
    exit 0
fi
lock
mount_all
from=
if [ -e "$work/back/complete" ]; then
    from=back
elif [ -e "$work/cut/complete" ] && [ ! -e "$work/used" ]; then
    from=cut
fi
if [ -z "$from" ]; then
    unlock
    say became stale
    exit 0
fi
restore "$from" || fail "$why"
unlock
say became restored
forget "$work"
