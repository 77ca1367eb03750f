# Delete files, if they are there.  Arguments: PATHS

rm -f -- "$@"
