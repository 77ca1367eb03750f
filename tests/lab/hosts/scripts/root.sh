# Sourced in a new mount namespace: makes the system files those of a host, or ends the shell:
# nothing may go on with the machine's own.
# Environment: FOLDER SHARED
own() { mount --bind "$FOLDER/$1" "$2" || exit 1; }

# the machine's files, and what the host has changed of them
over() {
    mkdir -p "$FOLDER/work/$1"
    mount -t overlay overlay "/$1" \
        -o "lowerdir=/$1,upperdir=$FOLDER/root/$1,workdir=$FOLDER/work/$1" || exit 1
}

mount --make-rprivate / || exit 1
# /usr first: /etc names a library in it
for name in usr etc boot; do
    over $name
done
for name in etc/apt var/lib/dpkg var/lib/apt var/cache/apt; do
    own root/$name /$name
done
own log /var/log
mount --bind "$SHARED/packages" /usr/share/lab-packages || exit 1
