# Run a command to its end, also if nobody listens any more; say the end of its output if it fails.
# Arguments: the words of the command

log=$(mktemp) || exit 1
trap 'rm -f -- "$log"' EXIT
DEBIAN_FRONTEND=noninteractive
NEEDRESTART_SUSPEND=1
export DEBIAN_FRONTEND NEEDRESTART_SUSPEND

attempt() {
    "$@" >"$log" 2>&1
    code=$?
    [ "$code" -ne 0 ] && [ "$1" = apt-get ] || return "$code"
    if grep -q 'dpkg was interrupted' "$log"; then
        dpkg --configure -a --force-confdef --force-confold >"$log" 2>&1 && "$@" >"$log" 2>&1
        code=$?
    fi
    return "$code"
}

waits=30
attempt "$@"
code=$?
while [ "$code" -ne 0 ] && [ "$waits" -gt 0 ] && grep -q '^E: Could not get lock' "$log"; do
    waits=$((waits - 1))
    sleep 10
    attempt "$@"
    code=$?
done
[ "$code" -eq 0 ] || tail -n 20 "$log" >&2
exit "$code"
