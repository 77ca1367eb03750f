# Say what a host is; nothing is changed.  Where a tool is absent, so is its fact.
# Arguments: m=MANAGER, p=PACKAGE, c=PACKAGE (say its candidate, too), f=FILE

processor_times() {
    [ -r /proc/stat ] && sed -n 's/^cpu  *//p' /proc/stat
}

installed() {
    if [ "$manager" = apt ]; then
        dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
            sed -n 's/^installed //p' | sort -u | tr '\n' ' '
    elif [ "$manager" = dnf ]; then
        rpm -q --qf '%{EVR}\n' "$1" 2>/dev/null | grep -v ' ' | tr '\n' ' '
    fi
}

candidate() {
    if [ "$manager" = apt ]; then
        apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -v '^(none)$'
    elif [ "$manager" = dnf ]; then
        dnf -q repoquery --latest-limit=1 --qf '%{evr}\n' "$1" 2>/dev/null | sed -n '/./p' |
            head -n 1
    fi
}

# say whether the installed version could be installed again, if it were replaced
way_back() {
    [ "$manager" = apt ] || return 0
    apt-cache madison "$1" 2>/dev/null | cut -d '|' -f 2 | tr -d ' ' | grep -qxF -e "$2" ||
        say no_way_back "$1" "$2"
}

packages() {
    for argument in "$@"; do
        name=${argument#?=}
        case $argument in
        p=* | c=*)
            version=$(installed "$name")
            version=${version% }
            if [ -n "$version" ]; then
                say package "$name" "$version"
                way_back "$name" "$version"
            fi
            ;;
        f=*) file "$name" ;;
        esac
        case $argument in
        c=*) say candidate "$name" "$(candidate "$name")" ;;
        esac
    done
}

kernels() {
    for folder in /lib/modules/*/; do
        folder=${folder%/}
        release=${folder##*/}
        if [ -e "$folder/kernel" ] || [ -e "$folder/vmlinuz" ] || [ -e "/boot/vmlinuz-$release" ]
        then
            say kernels "$release"
        fi
        if [ -e "$folder/build" ]; then
            say headers "$release"
        fi
    done
    if have dkms; then
        dkms status 2>/dev/null | while read -r line; do say dkms "$line"; done
    fi
}

devices() {
    for folder in /sys/kernel/mm/hugepages/hugepages-*kB; do
        [ -r "$folder/nr_hugepages" ] || continue
        size=${folder##*hugepages-}
        say hugepages "${size%kB}" "$(cat "$folder/nr_hugepages")"
    done
    for name in /sys/class/net/*/device/sriov_numvfs; do
        [ -r "$name" ] || continue
        interface=${name%/device/sriov_numvfs}
        say vfs "${interface##*/}" "$(cat "$name")"
    done
}

clock() {
    if have timedatectl; then
        say synchronized "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)"
    fi
    if have chronyc; then
        say leap "$(chronyc tracking 2>/dev/null | sed -n 's/^Leap status *: *//p')"
    fi
}

versions() {
    for program in qemu-system-x86_64 qemu-system-aarch64 libvirtd virtqemud ovs-vswitchd; do
        if have "$program"; then
            say version "$program" "$("$program" --version 2>/dev/null | head -n 1)"
        fi
    done
}

reboot_required() {
    if [ -e /run/reboot-required ]; then
        say reboot_required
    elif have needs-restarting; then
        needs-restarting -r >/dev/null 2>&1
        [ $? -eq 1 ] && say reboot_required
    fi
}

say begin upgrade-flows
processor=$(processor_times)
manager=
for argument in "$@"; do
    case $argument in
    m=*) manager=${argument#m=} ;;
    esac
done
[ -n "$manager" ] || manager=$(package_manager)
[ -n "$manager" ] && say manager "$manager"
[ -r /proc/sys/kernel/random/boot_id ] && say boot_id "$(cat /proc/sys/kernel/random/boot_id)"
[ -r /proc/sys/kernel/osrelease ] && say kernel "$(cat /proc/sys/kernel/osrelease)"
[ -r /proc/uptime ] && say uptime "$(cat /proc/uptime)"
[ -r /etc/os-release ] && say os "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release)"
if [ -r /proc/meminfo ]; then
    tr -s ' ' </proc/meminfo | while read -r name number _; do say memory "$name" "$number"; done
fi
packages "$@"
kernels
devices
clock
versions
reboot_required
sleep 0.25 2>/dev/null || sleep 1
[ -n "$processor" ] && say processor "$processor" "$(processor_times)"
say end upgrade-flows
