# Stop services, in their order.  Arguments: NAMES

for name in "$@"; do
    if systemd; then
        systemctl stop -- "$name" || exit 1
    else
        service "$name" stop || exit 1
    fi
done
