# Take the tree out of the surrogate, if it is there, and let go of its volumes. What still waits
# for them there is ended.

rm "$here/waits" 2>/dev/null && [ -r "$here/busy/pid" ] && kill "$(cat "$here/busy/pid")"
alone "$patience"
unwatch
failed=
if tree=$(running); then
    lock
    if ! dump "$tree" back && ! dump "$tree" back; then
        failed=$why
        children() {
            for status in /proc/[0-9]*/status; do
                grep -q "^PPid:$tab$1\$" "$status" 2>/dev/null || continue
                child=${status#/proc/}
                echo "${child%/status}"
                children "${child%/status}"
            done
        }
        kill -KILL "$tree" $(children "$tree") 2>/dev/null
        rm -rf "${work:?}/back"
    fi
    rm -f "$state"
fi
umount_all
[ -z "$failed" ] || fail "the processes were ended, for they could not be carried back: $failed"
