# Run a command of the operator's; say the end of what it said if it fails.
# Arguments: LIMIT (seconds) TASK (-, volumes, come, watch, stay) PATIENCE COMMAND
# [n=INTERFACE|v=VOLUME]...
# Tasks: volumes: wait for volumes first; come: wait for interfaces and volumes first; watch: bring
# interfaces up from now on, when the command has ended; stay: bring them up no more, and end what still waits for them,
# before it runs.

limit=$1
order=$2
patience=$3
command=$4
shift 4

nics=
volumes=
for argument in "$@"; do
    case $argument in
    n=*) nics="$nics ${argument#n=}" ;;
    v=*) volumes="$volumes ${argument#v=}" ;;
    esac
done

case $order in
volumes | come)
    mkdir -p "$here"
    waits=$here/waits.$$
    trap 'rm -f "$waits"' EXIT
    : >"$waits"
    come "$patience" "$@"
    [ "$order" = volumes ] || unwatch
    rm "$waits" || fail "it is not wanted any more"
    ;;
stay)
    for waits in "$here"/waits.*; do
        rm "$waits" 2>/dev/null && kill "${waits##*.}" 2>/dev/null
    done
    unwatch
    ;;
esac

found() {
    [ -b "$UF_DEVICE" ] || other=$(volume "${UF_DEVICE##*/virtio-}")
}
if [ -n "$UF_DEVICE" ]; then
    other=
    until_done "$patience" found || fail "the device $UF_DEVICE did not come within $patience s"
    UF_DEVICE=${other:-$UF_DEVICE}
fi

UF_VOLUMES=
for id in $volumes; do
    UF_VOLUMES="$UF_VOLUMES $(volume "$id" || echo "/dev/disk/by-id/virtio-$id")"
done
UF_VOLUMES=${UF_VOLUMES# }
export UF_VOLUMES

code=0
if [ -n "$command" ]; then
    for folder in /run /dev/shm /tmp; do
        log=$(mktemp "$folder/upgrade-flows.XXXXXX" 2>/dev/null) && break
    done
    [ -n "$log" ] || fail "no folder for what the command says"
    if have setsid; then
        setsid sh -c "$command" >"$log" 2>&1 </dev/null &
        group=-$!
    else
        sh -c "$command" >"$log" 2>&1 </dev/null &
        group=$!
    fi
    running=$!
    (
        left=$limit
        while [ "$left" -gt 0 ]; do
            sleep 1
            left=$((left - 1))
        done
        echo "it did not end within $limit s, and was ended" >>"$log"
        kill -TERM "$group" 2>/dev/null
        sleep 2
        kill -KILL "$group" 2>/dev/null
    ) >/dev/null 2>&1 </dev/null &
    watchdog=$!
    wait "$running"
    code=$?
    kill "$watchdog" 2>/dev/null
    if [ "$code" -eq 0 ]; then
        tail -c 4000 "$log"
    else
        tail -c 4000 "$log" >&2
    fi
    rm -f "$log"
fi
if [ "$code" -eq 0 ] && [ "$order" = watch ]; then
    watch_nics $nics
fi
exit "$code"
