# Write the memory of the tree down beforehand, as often as predump says; old images go.

alone "$patience"
tree=$(running) || fail "the process $pid has ended"
rm -rf "${images:?}"/upgrade-flows-*
mkdir -p "$work"
chmod 700 "$work"
turn=0
while [ "$turn" -lt "$predump" ]; do
    turn=$((turn + 1))
    before=
    [ "$turn" -eq 1 ] || before="--prev-images-dir ../pre$((turn - 1))"
    mkdir "$work/pre$turn"
    criu pre-dump -t "$tree" -D "$work/pre$turn" -o dump.log -v1 --tcp-established \
        --network-lock nftables --track-mem $before $options \
        >"$work/pre$turn/said.log" 2>&1 </dev/null ||
        fail "criu pre-dump ended with $?: $(end_of "$work/pre$turn/said.log" "$work/pre$turn/dump.log")"
done
sync
