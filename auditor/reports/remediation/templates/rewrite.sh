EA_DONE=0 EA_GONE=0 EA_FAILED=0 EA_WOULD=0 EA_WROTE=0 EA_STOPPED=no EA_SKIPPED=no
EA_PROBED=' '
EA_LF='
'

# at TREE ROOT FORM: where etcd keeps the objects of the batches that follow, and how their values are to begin
at() { EA_TREE=$1 EA_ROOT=$2 EA_WANTED=$3 && export EA_ROOT EA_WANTED; }

# batch RESOURCE NAMESPACE NAME...
batch() {
  EA_OF=$1 EA_IN=$2
  shift 2
  while [ $# -gt 0 ]; do
    if [ "$EA_STOPPED" = yes ]; then
      EA_FAILED=$((EA_FAILED + $#))
      return 0
    fi
    size=$EA_CHUNK part=
    while [ $# -gt 0 ] && [ "$size" -gt 0 ]; do
      part="$part $1" size=$((size - 1))
      shift
    done
    # shellcheck disable=SC2086 # valid names hold nothing that a shell splits or expands
    if [ "$EA_MODE" = dry ]; then try $part; else portion $part; fi
    if [ "$PER_SECOND" -gt 0 ]; then sleep 1; fi
  done
}

# try NAME...: the API server tries to take them and stores nothing
try() {
  allowed
  # shellcheck disable=SC2046
  set -- $(pending "$EA_OF" "$EA_IN" "$@")
  [ $# -gt 0 ] || return 0
  code=0
  seen=$(look "$EA_OF" "$EA_IN" "$@") || code=$?
  taken=" $(copy "$EA_OF" "$EA_IN" "$@" | tr '\n' ' ')"
  for name in "$@"; do
    case $taken in
      *" $name "*) EA_WOULD=$((EA_WOULD + 1)) ;;
      *)
        case $code$EA_LF$seen in
          0*"$EA_LF$name "* | [12]*)
            warn "WOULD FAIL: $EA_OF $EA_IN $name"
            EA_FAILED=$((EA_FAILED + 1))
            ;;
          *) EA_GONE=$((EA_GONE + 1)) ;;
        esac
        ;;
    esac
  done
  reasons
}

# portion NAME...: looks, copies what is not as wanted, and looks again. The first of a resource that is copied goes
# alone: it shows whether the write path is as wanted
portion() {
  allowed
  names=$#
  # shellcheck disable=SC2046
  set -- $(pending "$EA_OF" "$EA_IN" "$@")
  [ $# = "$names" ] || EA_SKIPPED=yes
  last='' taken='' attempt=0 others=
  while [ $# -gt 0 ]; do
    inside=none
    if [ -n "$EA_ETCD" ]; then
      inside=$(stored "$@") || inside=unread
    fi
    code=0 seen=
    # before the first attempt most are known to be left without asking the API server
    case $attempt$EA_HELD$inside$EA_LF in
      0encrypted* | 0*" yes$EA_LF"* | [1-9]*) seen=$(look "$EA_OF" "$EA_IN" "$@") || code=$? ;;
      *) code=2 ;;
    esac
    judged=$(EA_NAMES="$*" EA_SEEN=$seen EA_LAST=$last EA_INSIDE=$inside EA_TAKEN=$taken awk -v code="$code" -v after="$EA_REVISION" "$EA_JUDGE" < /dev/null)
    settle
    # shellcheck disable=SC2046
    set -- $(printf '%s\n' "$judged" | awk '$1 == "left" { print $2 }')
    if [ $# = 0 ] || [ "$attempt" -ge "$TRIES" ]; then break; fi
    case $attempt$EA_PROBED in
      0*" $EA_OF "*) ;;
      0*)
        first=$1
        shift
        others=$*
        set -- "$first"
        ;;
    esac
    if [ "$attempt" -gt 0 ]; then sleep "$PAUSE"; fi
    attempt=$((attempt + 1)) last=$seen
    allowed
    taken=$(copy "$EA_OF" "$EA_IN" "$@")
  done
  [ $# = 0 ] || failures
  reasons
  [ -n "$others" ] || return 0
  # shellcheck disable=SC2086
  set -- $others
  if [ "$EA_STOPPED" = yes ]; then EA_FAILED=$((EA_FAILED + $#)); else portion "$@"; fi
}

# JUDGE: what is known of each name -> done NAME UID VERSION, fresh or not; written, without etcd; gone; left, and why
EA_JUDGE='
  function table(text, into, field,   rows, n, i, cell) {
    n = split(text, rows, "\n")
    for (i = 1; i <= n; i++) if (split(rows[i], cell, " ") == 3) into[cell[1]] = cell[field]
  }
  BEGIN {
    table(ENVIRON["EA_SEEN"], uid, 2); table(ENVIRON["EA_SEEN"], version, 3); table(ENVIRON["EA_LAST"], earlier, 3)
    inside = ENVIRON["EA_INSIDE"]
    if (inside != "none") { table(inside, revision, 2); table(inside, good, 3) }
    n = split(ENVIRON["EA_TAKEN"], rows, "\n")
    for (i = 1; i <= n; i++) taken[rows[i]] = 1
    n = split(ENVIRON["EA_NAMES"], name, " ")
    for (i = 1; i <= n; i++) {
      it = name[i]
      fresh = (it in taken) && (it in version) && (it in earlier) && version[it] != earlier[it] ? "fresh" : (it in taken) ? "taken" : "found"
      if (code == 2) print "left", it, "unread"
      else if (inside == "unread") print "left", it, "etcd-unread"
      else if (!(it in version)) print (code == 0 && !(it in revision) ? "gone" : "left"), it, "unread"
      else if (inside == "none") {
        if (version[it] + 0 > after && (it in taken)) print "written", it, uid[it], version[it]
        else print "left", it, (it in taken ? "unchanged" : "not-taken")
      }
      else if (revision[it] != version[it]) print "left", it, ((it in taken) && revision[it] + 0 < version[it] + 0 ? "elsewhere" : "changing")
      else if (version[it] + 0 > after && good[it] == "yes") print "done", it, uid[it], version[it], fresh
      else print "left", it, (it in taken ? "unchanged" : "not-taken")
    }
  }'

# settle: notes and counts what $judged knows; of the first object of a resource it follows how the others write
settle() {
  while read -r word name uid version fresh; do
    case $word in
      done)
        prove "$name" "$version" "$fresh"
        note "done" "$EA_OF" "$EA_IN" "$name" "$uid" "$version"
        EA_DONE=$((EA_DONE + 1))
        # what was as wanted before says nothing of how it would be written now
        if [ "$fresh" != found ]; then probed "$version"; fi
        ;;
      written)
        note written "$EA_OF" "$EA_IN" "$name" "$uid" "$version"
        EA_WROTE=$((EA_WROTE + 1))
        probed "$version"
        ;;
      gone)
        say "gone: $EA_OF $EA_IN $name"
        EA_GONE=$((EA_GONE + 1))
        ;;
    esac
  done << END
$judged
END
}

# an object that was just rewritten through kubectl stands in etcd under its new resourceVersion: it is this cluster's
prove() {
  if [ "$EA_HELD" != encrypted ] || [ "$3" != fresh ]; then return 0; fi
  note proof "$EA_OF" "$EA_IN" "$1" "$2"
  note etcd "$EA_ETCD"
  EA_HELD=yes
}

# probed REVISION: the first object of a resource that was written now is as wanted; what is newer must be too
probed() {
  case $EA_PROBED in *" $EA_OF "*) return 0 ;; esac
  EA_PROBED="$EA_PROBED$EA_OF "
  [ -n "$EA_ETCD" ] || return 0
  strays=$(newer "$1")
  [ -n "$strays" ] || return 0
  EA_STOPPED=yes
  warn "STOPPED: an API server still writes another form of $EA_OF:" "$(printf '%s\n' "$strays" | sed 5q | tr '\n' ' ')"
}

# failures: names that are left after all attempts; where the API server took the first of a resource, and what is
# stored does not show it as wanted, all stop
failures() {
  while read -r word name why _; do
    [ "$word" = left ] || continue
    case $why in
      unread) text="it cannot be read" ;;
      etcd-unread) text="etcd gives no answer" ;;
      changing | elsewhere) text="kubectl and etcd do not show the same revision" ;;
      unchanged) text="the API server took it, and what is stored is not as wanted" ;;
      *) text="the API server did not take it" ;;
    esac
    warn "FAILED: $EA_OF $EA_IN $name: $text"
    EA_FAILED=$((EA_FAILED + 1))
    case $why$EA_PROBED in
      *" $EA_OF "*) ;;
      unchanged*)
        EA_STOPPED=yes
        warn "STOPPED: this API server does not write $EA_OF as wanted: switch the write path of every API server first"
        ;;
      elsewhere*)
        EA_STOPPED=yes
        warn "STOPPED: what this API server writes is not in the etcd of ETCDCTL_ENDPOINTS: a copy of the cluster, or of its etcd"
        ;;
    esac
  done << END
$judged
END
}

rewrite() {
  if ! noted preserved rewrite > /dev/null; then preserved rewrite; fi
  rewritten
  ended=0
  verify || ended=$?
  if [ "$ended" = 1 ] && [ "$EA_SKIPPED" = yes ] && [ -n "$EA_ETCD" ]; then
    say "what was noted as done before is looked at again"
    EA_DONE=0 EA_GONE=0 EA_WROTE=0 EA_SKIPPED=no
    rewritten
    ended=0
    verify || ended=$?
  fi
  [ "$ended" = 0 ] || exit "$ended"
  # where nothing was to be done, the steps after it are as done as they were; what is gone is seen anew in each run
  if [ "$EA_DONE$EA_WROTE" != 00 ] || [ "$(noted gone)" != "$EA_GONE" ] || ! noted rewritten > /dev/null || ! all_rewritten; then
    note gone "$EA_GONE"
    note rewritten all
  fi
}

# rewritten: every object, and the counts; ends here where one failed
rewritten() {
  objects
  counted="$EA_DONE rewritten now, $EA_GONE gone, $EA_WROTE written and not looked at, $EA_FAILED failed or left out"
  say "rewrite: $counted"
  if [ "$EA_FAILED" != 0 ]; then
    warn "not all was rewritten: see above, and run it again"
    exit 1
  fi
}
