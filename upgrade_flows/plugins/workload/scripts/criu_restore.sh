# Run the tree in the original again.
# Arguments: n=INTERFACE...; says what became of it: runs, restored, or stale. An interface that
# does not come is an error, but only when the tree runs.

alone "$patience"
missing=$(come "$patience" "$@" 2>&1)
unwatch
done_so() {
    say became "$1"
    [ -z "$missing" ] || fail "$missing"
    exit 0
}
if running >/dev/null; then
    mount_all
    unlock
    done_so runs
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
    done_so stale
fi
restore "$from" || fail "$why"
unlock
forget "$work"
done_so restored
