# all_rewritten: whether all was rewritten since anything was last found to be left
all_rewritten() {
  [ "$EA_OBJECTS" != 0 ] || return 0
  awk '$1 == "again" { all = 0 } $0 == "rewritten all ." { all = 1 } END { exit !all }' "$EA_NOTES"
}

# lately WORD: the second word of its last note; fails where anything was rewritten, or found to be left, since
lately() {
  [ -e "$EA_NOTES" ] || return 1
  awk -v word="$1" '$1 == "again" || $0 == "rewritten all ." { last = "" } $1 == word && $NF == "." { last = $2 }
    END { if (last == "") exit 1; print last }' "$EA_NOTES"
}

# compacted REVISION: whether etcd no longer has the revision before it
compacted() {
  etcd get "$EA_PREFIX/namespaces/kube-system" --rev=$(($1 - 1)) --write-out fields > /dev/null && return 1
  grep -q 'required revision has been compacted' "$EA_TMP/errors"
}

# clean: whether no value under TREE was written in another form since the revision that is verified
clean() {
  others=$(newer "$revision")
  [ -z "$others" ]
}

compact() {
  [ -n "$EA_ETCD" ] || refuse "compaction needs ETCDCTL_ENDPOINTS"
  [ "$EA_HELD" = yes ] || refuse "etcd's kube-system is encrypted, and no object was rewritten that shows whose etcd this is"
  # a run that was killed may have compacted and not noted it
  known=$(lately compacted) || known=$(lately compacting) || known=0
  if [ "$known" -gt 1 ] && compacted "$known"; then
    lately compacted > /dev/null || note compacted "$known"
    # others may have written the old form since
    verify || exit
    say "compaction: done before, at revision $known; what was written since, up to revision $newest, stands in the history"
    return 0
  fi
  all_rewritten || refuse "not all is rewritten: APPLY=yes first"
  preserved compact
  # what is verified below is at this revision or later
  revision=$newest
  verify || exit
  allowed
  which_etcd
  trees || { note again "$(now)"; refuse "a value was written in another form since: nothing is compacted"; }
  : > "$EA_TMP/errors"
  note compacting "$revision"
  etcd compaction --physical "$revision" > /dev/null || warn "etcdctl compaction failed: looking whether it was done"
  compacted "$revision" || { reasons; warn "compaction: NOT done at revision $revision"; exit 1; }
  note compacted "$revision"
  say "compaction: done at revision $revision"
}
