# Put a file in place of another in one go; its mode and its owner stay as they are.
# Argument: PATH; the content comes with the script

path=$1
[ ! -L "$path" ] || path=$(readlink -f -- "$path") || exit 1
new=$(mktemp "$(dirname -- "$path")/.upgrade-flows.XXXXXX") || exit 1
trap 'rm -f -- "$new"' EXIT
if [ -e "$path" ]; then
    cp -a -- "$path" "$new" || exit 1
else
    chmod 0644 "$new" || exit 1
fi
content | base64 -d >"$new" || exit 1
sync -- "$new" 2>/dev/null
mv -f -- "$new" "$path"
