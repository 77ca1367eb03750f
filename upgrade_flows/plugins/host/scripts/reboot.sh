# Ask for a reboot.  Arguments: the words of the command, or none for the host's own

if [ $# -gt 0 ]; then
    "$@"
elif systemd; then
    systemctl reboot
else
    shutdown -r now
fi
