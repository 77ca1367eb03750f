# Make the surrogate ready for the tree: locked, and bringing up what comes.
# Arguments: INTERFACE...

alone "$patience"
lock
watch_nics "$@"
