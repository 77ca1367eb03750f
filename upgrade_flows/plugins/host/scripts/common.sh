# What the other scripts share: facts are lines, the parts of a line are separated by tabs.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
tab=$(printf '\t')

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

systemd() {
    have systemctl && [ -d /run/systemd/system ]
}

package_manager() {
    if have apt-get && have dpkg-query; then
        echo apt
    elif have dnf && have rpm; then
        echo dnf
    fi
}

# file PATH: its content, or that it is too large; nothing where there is none
file() {
    [ -e "$1" ] || return 0
    bytes=$(wc -c <"$1") || return 0
    if [ "$bytes" -gt 262144 ]; then
        say large "$1" "$((bytes))"
    else
        content=$(base64 <"$1" | tr -d '\n')
        say file "$1" "$content"
    fi
}
