# Say what the processor can, or check that this one can it, too.
# Argument: dump or check; what is checked is the content

folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
case $1 in
dump)
    said=$(criu cpuinfo dump -D "$folder" 2>&1) || fail "criu cpuinfo dump: $said"
    say begin upgrade-flows
    say cpu "$(base64 <"$folder/cpuinfo.img" | tr -d '\n')"
    say end upgrade-flows
    ;;
check)
    content | base64 -d >"$folder/cpuinfo.img"
    for kind in fpu ins; do
        said=$(criu cpuinfo check -D "$folder" "--cpu-cap=$kind" 2>&1) ||
            fail "the processor cannot all that the original's can ($kind): $said"
    done
    ;;
esac
