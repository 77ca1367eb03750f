# Say what stands in the way of a change of packages; nothing is changed.
# Arguments: MANAGER, the path of a package source that is not yet there (or ""), then the change:
# i=PACKAGE or i=PACKAGE=VERSION to be installed, r=PACKAGE to be removed.
# The content of the package source comes with the script.

space() {
    for folder in /boot /var; do
        free=$(df -Pk "$folder" 2>/dev/null | sed -n '2p' | tr -s ' ' | cut -d ' ' -f 4)
        [ -z "$free" ] || say free "$folder" "$free"
    done
}

# the folders of package sources and of lists with the new source in them
try_source_apt() {
    mkdir "$try/new" "$try/parts" "$try/lists" "$try/lists/partial" && chmod 755 "$try" || exit 1
    for name in /etc/apt/sources.list.d/*; do
        [ "$name" = "$source" ] || [ ! -e "$name" ] || ln -s "$name" "$try/parts/"
    done
    for name in /var/lib/apt/lists/*; do
        [ ! -f "$name" ] || [ "${name##*/}" = lock ] || ln -s "$name" "$try/lists/"
    done
    content | base64 -d >"$try/new/${source##*/}" || exit 1
    cp "$try/new/${source##*/}" "$try/parts/" || exit 1
    lists="-o Dir::State::Lists=$try/lists -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
    # shellcheck disable=SC2086
    apt-get -q update $lists -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$try/new" \
        -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any >"$try/log" 2>&1 || {
        say source_fails "$(complaints)"
        return 1
    }
    options="$lists -o Dir::Etc::SourceParts=$try/parts"
}

complaints() {
    grep -E '^(E:|W:|Error|No match)' "$try/log" | tail -n 4 | tr '\n' ' '
}

apt() {
    options=
    [ -z "$source" ] || try_source_apt || return 0
    words=$(mktemp "$try/words.XXXXXX")
    for argument in "$@"; do
        case $argument in
        i=*) printf '%s\n' "${argument#i=}" >>"$words" ;;
        r=*) printf '%s-\n' "${argument#r=}" >>"$words" ;;
        esac
    done
    # shellcheck disable=SC2086,SC2046
    if apt-get -s -q -y --allow-downgrades $options install -- $(cat "$words") >"$try/log" 2>&1
    then
        sed -n -E 's/^(Inst|Remv) ([^ ]+).*/\1 \2/p' "$try/log" | while read -r verb name; do
            say "$verb" "$name"
        done
    else
        say simulation_fails "$(complaints)"
    fi
    apt-mark showhold 2>/dev/null | while read -r name; do say held "$name"; done
    if [ -n "$(dpkg --audit 2>/dev/null | head -n 1)" ]; then
        say interrupted
    fi
}

dnf_change() {
    folders=/etc/yum.repos.d
    if [ -n "$source" ]; then
        mkdir "$try/repositories" || exit 1
        content | base64 -d >"$try/repositories/${source##*/}" || exit 1
        folders=$folders,$try/repositories
    fi
    for argument in "$@"; do
        case $argument in
        i=*=*) spec=${argument#i=} spec=${spec%%=*}-${spec#*=} ;;
        i=*) spec=${argument#i=} ;;
        *) continue ;;
        esac
        if ! dnf -q "--setopt=reposdir=$folders" repoquery --qf '%{evr}\n' "$spec" \
            2>"$try/log" | grep -q .
        then
            say unavailable "$spec" "$(complaints)"
        fi
    done
}

say begin upgrade-flows
say user "$(id -u)"
manager=$1
source=$2
shift 2
space
if [ -n "$manager" ]; then
    try=$(mktemp -d) || exit 1
    trap 'rm -rf -- "$try"' EXIT
    case $manager in
    apt) apt "$@" ;;
    dnf) dnf_change "$@" ;;
    esac
fi
say end upgrade-flows
