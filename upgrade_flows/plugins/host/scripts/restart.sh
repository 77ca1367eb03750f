# Restart services, in their order.  Arguments: NAMES

for name in "$@"; do
    if systemd; then
        systemctl restart -- "$name" || exit 1
    else
        service "$name" restart || exit 1
    fi
done
