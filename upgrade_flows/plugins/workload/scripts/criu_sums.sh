# Say what files are, one path in each line of the content: a sum, a folder, or absent.
# Arguments: PID... that have to be free

say begin upgrade-flows
for pid in "$@"; do
    [ -e "/proc/$pid" ] || continue
    read -r name <"/proc/$pid/comm"
    say busy "$pid" "$name"
done
content | base64 -d | while read -r path; do
    if [ -d "$path" ]; then
        say file "$path" folder
    elif [ -f "$path" ]; then
        sum=$(sha256sum <"$path") && say file "$path" "${sum%% *}"
    elif [ -e "$path" ]; then
        say file "$path" special
    else
        say file "$path" absent
    fi
done
say end upgrade-flows
