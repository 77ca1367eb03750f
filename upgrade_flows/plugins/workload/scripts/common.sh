# What the other scripts share: facts are lines, the parts of a line are separated by tabs.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
tab=$(printf '\t')
here=/run/upgrade-flows

say() {
    said=$1
    shift
    for part in "$@"; do
        said=$said$tab$part
    done
    printf '%s\n' "$said"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

fail() {
    echo "$*" >&2
    exit 1
}

nap() {
    sleep 0.1 2>/dev/null || usleep 100000 2>/dev/null || sleep 1
}

# hundredths of a second since the guest's boot
now() {
    read -r up _ </proc/uptime
    rest=${up#*.}
    echo $((${up%.*} * 100 + 1${rest%"${rest#??}"} - 100))
}

# until SECONDS COMMAND...: attempt it until it succeeds; fails if it does not in time
until_done() {
    end=$(($(now) + $1 * 100))
    shift
    until "$@"; do
        [ "$(now)" -lt "$end" ] || return 1
        nap
    done
}
