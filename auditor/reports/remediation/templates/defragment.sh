# defragmented MEMBER: whether that was noted since the last rewrite and compaction
defragmented() {
  [ -e "$EA_NOTES" ] || return 1
  awk -v id="$1" '$1 == "again" || $0 == "rewritten all ." || $1 == "compacted" { done = 0 }
    $1 == "defragmented" && $2 == id && $NF == "." { done = 1 } END { exit !done }' "$EA_NOTES"
}

# defragment MEMBER: one, followers first, all others healthy before and after
defragment() {
  [ -n "$EA_ETCD" ] || refuse "defragmentation needs ETCDCTL_ENDPOINTS"
  [ "$EA_HELD" = yes ] || refuse "etcd's kube-system is encrypted, and no object was rewritten that shows whose etcd this is"
  if [ "$EA_COMPACTION" = yes ]; then
    known=$(lately compacted) || refuse "the history is not compacted since the last rewrite: COMPACT=yes first"
    compacted "$known" || refuse "this etcd is not compacted at revision $known, as was noted"
  fi
  number=$(etcd member list | grep -c .)
  here=$(printf '%s\n' "$EA_MEMBERS_NOW" | awk '{ print $2 }' | sort -u | wc -l)
  [ "$number" -eq "$here" ] || refuse "the cluster has $number member$(s "$number"), and ETCDCTL_ENDPOINTS names $here: name each"
  list=' ' chosen=
  while read -r _ id leader _ size _ endpoint; do
    hex=$(printf '%x' "$id") role=follower
    if [ "$id" = "$leader" ]; then role=leader; fi
    state=open
    if defragmented "$hex"; then state="done"; fi
    say "member $hex: $role, $size bytes, $endpoint, $state"
    list="$list$role:$state "
    if [ "$hex" = "$DEFRAGMENT" ]; then chosen=$endpoint part=$role was=$size now_done=$state; fi
  done << END
$EA_MEMBERS_NOW
END
  [ -n "$chosen" ] || refuse "DEFRAGMENT=$DEFRAGMENT names none of these members"
  if [ "$now_done" = "done" ]; then
    say "defragmentation of $DEFRAGMENT: done before"
    return 0
  fi
  case $part$list in leader*' follower:open '*) refuse "followers first: $DEFRAGMENT is the leader" ;; esac
  preserved defragment "$DEFRAGMENT"
  healthy || refuse "not every member is healthy: nothing is defragmented"
  allowed
  which_etcd
  : > "$EA_TMP/errors"
  code=0
  ETCDCTL_ENDPOINTS=$chosen ETCDCTL_API=3 ETCDCTL_DIAL_TIMEOUT=${ETCDCTL_DIAL_TIMEOUT:-20s} ETCDCTL_COMMAND_TIMEOUT=3600s \
    etcdctl defrag > /dev/null 2>> "$EA_TMP/errors" || code=$?
  try=1
  until healthy; do
    if [ "$try" -ge 30 ]; then refuse "a member is not healthy after the defragmentation of $DEFRAGMENT: stop and look"; fi
    sleep "$PAUSE"
    try=$((try + 1))
  done
  size=$(members | awk -v endpoint="$chosen" '$7 == endpoint { print $5 }')
  # a file that is no smaller has nothing free, or was not defragmented
  used=$(ETCDCTL_ENDPOINTS=$chosen etcd endpoint status --write-out json | sed -n 's/.*"dbSizeInUse":\([0-9][0-9]*\).*/\1/p')
  free=$((${size:-0} - ${used:-${size:-0}}))
  if [ "$code" != 0 ] || [ -z "$size" ] || [ "$size" -gt "$was" ] ||
    { [ "$size" -eq "$was" ] && [ "$free" -gt 65536 ] && [ "$free" -gt $((size / 10)) ]; }; then
    reasons
    warn "defragmentation of $DEFRAGMENT: NOT known to be done"
    exit 1
  fi
  note defragmented "$DEFRAGMENT" "$was" "$size" "$(now)"
  say "defragmentation of $DEFRAGMENT: done, $was bytes before, $size after"
}

healthy() { etcd endpoint health > /dev/null; }
