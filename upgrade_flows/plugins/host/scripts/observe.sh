# Say what a host has now of what is about to be changed; nothing is changed.
# Arguments: m=MANAGER (or m= to find out), l= (all packages), f=FILE, v=SERVICE

list_packages() {
    if [ "$manager" = apt ]; then
        dpkg-query -W -f '${db:Status-Status}\t${binary:Package}\t${Version}\n' || exit 1
        apt-mark showauto | while read -r name; do say automatic "$name"; done
    elif [ "$manager" = dnf ]; then
        rpm -qa --qf 'installed\t%{NAME}\t%{EVR}\n' || exit 1
    fi
}

service_state() {
    if systemd; then
        if [ "$(systemctl show -p LoadState --value -- "$1" 2>/dev/null)" = not-found ]; then
            echo absent
        else
            systemctl is-active -- "$1" 2>/dev/null
        fi
    elif service "$1" status >/dev/null 2>&1; then
        echo active
    elif [ -e "/etc/init.d/$1" ]; then
        echo inactive
    else
        echo absent
    fi
}

say begin upgrade-flows
manager=
for argument in "$@"; do
    value=${argument#?=}
    case $argument in
    m=*)
        manager=$value
        [ -n "$manager" ] || manager=$(package_manager)
        say manager "$manager"
        ;;
    l=*) list_packages ;;
    f=*) file "$value" ;;
    v=*) say service "$value" "$(service_state "$value" | head -n 1)" ;;
    esac
done
say end upgrade-flows
