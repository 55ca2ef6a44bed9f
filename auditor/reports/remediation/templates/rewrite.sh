DONE=0 GONE=0 FAILED=0 WOULD=0 WROTE=0 STOPPED=no
PROBED=' '
LF='
'

# at TREE ROOT FORM: where etcd keeps the objects of the batches that follow, and how their values are to begin
at() { TREE=$1 ROOT=$2 WANTED=$3 && export ROOT WANTED; }

# batch RESOURCE NAMESPACE NAME...: the first of a resource alone, which shows whether the write path is as wanted
batch() {
  OF=$1 IN=$2
  shift 2
  while [ $# -gt 0 ]; do
    if [ "$STOPPED" = yes ]; then
      FAILED=$((FAILED + $#))
      return 0
    fi
    size=$CHUNK
    case $PROBED in *" $OF "*) ;; *) [ "$MODE" = dry ] || size=1 ;; esac
    part=
    while [ $# -gt 0 ] && [ "$size" -gt 0 ]; do
      part="$part $1" size=$((size - 1))
      shift
    done
    # shellcheck disable=SC2086 # valid names hold nothing that a shell splits or expands
    if [ "$MODE" = dry ]; then try $part; else portion $part; fi
    if [ "$PER_SECOND" -gt 0 ]; then sleep 1; fi
  done
}

# try NAME...: the API server tries to take them and stores nothing
try() {
  allowed
  # shellcheck disable=SC2046
  set -- $(pending "$OF" "$IN" "$@")
  [ $# -gt 0 ] || return 0
  code=0
  seen=$(look "$OF" "$IN" "$@") || code=$?
  taken=" $(copy "$OF" "$IN" "$@" | tr '\n' ' ')"
  for name in "$@"; do
    case $taken in
      *" $name "*) WOULD=$((WOULD + 1)) ;;
      *)
        case $code$LF$seen in
          0*"$LF$name "* | [12]*)
            warn "WOULD FAIL: $OF $IN $name"
            FAILED=$((FAILED + 1))
            ;;
          *) GONE=$((GONE + 1)) ;;
        esac
        ;;
    esac
  done
  reasons
}

# portion NAME...: looks, copies what is not as wanted, and looks again
portion() {
  allowed
  # shellcheck disable=SC2046
  set -- $(pending "$OF" "$IN" "$@")
  last='' taken='' attempt=0
  while [ $# -gt 0 ]; do
    inside=none
    if [ -n "$ETCD" ]; then
      inside=$(stored "$@") || inside=unread
    fi
    code=0 seen=
    # before the first attempt most are known to be left without asking the API server
    case $attempt$HELD$inside$LF in
      0encrypted* | 0*" yes$LF"* | [1-9]*) seen=$(look "$OF" "$IN" "$@") || code=$? ;;
      *) code=2 ;;
    esac
    judged=$(NAMES="$*" SEEN=$seen LAST=$last INSIDE=$inside TAKEN=$taken awk -v code="$code" -v after="$REVISION" "$JUDGE" < /dev/null)
    settle
    # shellcheck disable=SC2046
    set -- $(printf '%s\n' "$judged" | awk '$1 == "left" { print $2 }')
    if [ $# = 0 ] || [ "$attempt" -ge "$TRIES" ]; then break; fi
    if [ "$attempt" -gt 0 ]; then sleep "$PAUSE"; fi
    attempt=$((attempt + 1)) last=$seen
    allowed
    taken=$(copy "$OF" "$IN" "$@")
  done
  [ $# = 0 ] || failures
  reasons
}

# JUDGE: what is known of each name -> done NAME UID VERSION, fresh or not; written, without etcd; gone; left, and why
JUDGE='
  function table(text, into, field,   rows, n, i, cell) {
    n = split(text, rows, "\n")
    for (i = 1; i <= n; i++) if (split(rows[i], cell, " ") == 3) into[cell[1]] = cell[field]
  }
  BEGIN {
    table(ENVIRON["SEEN"], uid, 2); table(ENVIRON["SEEN"], version, 3); table(ENVIRON["LAST"], earlier, 3)
    inside = ENVIRON["INSIDE"]
    if (inside != "none") { table(inside, revision, 2); table(inside, good, 3) }
    n = split(ENVIRON["TAKEN"], rows, "\n")
    for (i = 1; i <= n; i++) taken[rows[i]] = 1
    n = split(ENVIRON["NAMES"], name, " ")
    for (i = 1; i <= n; i++) {
      it = name[i]
      fresh = (it in taken) && (it in version) && (it in earlier) && version[it] != earlier[it] ? "fresh" : "found"
      if (code == 2) print "left", it, "unread"
      else if (inside == "unread") print "left", it, "etcd-unread"
      else if (!(it in version)) print (code == 0 && !(it in revision) ? "gone" : "left"), it, "unread"
      else if (inside == "none") {
        if (version[it] + 0 > after && (it in taken)) print "written", it, uid[it], version[it]
        else print "left", it, (it in taken ? "unchanged" : "not-taken")
      }
      else if (revision[it] != version[it]) print "left", it, "changing"
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
        note "done" "$OF" "$IN" "$name" "$uid" "$version"
        DONE=$((DONE + 1))
        probed "$version"
        ;;
      written)
        note written "$OF" "$IN" "$name" "$uid" "$version"
        WROTE=$((WROTE + 1))
        probed "$version"
        ;;
      gone)
        say "gone: $OF $IN $name"
        GONE=$((GONE + 1))
        ;;
    esac
  done << END
$judged
END
}

# an object that was just rewritten through kubectl stands in etcd under its new resourceVersion: it is this cluster's
prove() {
  if [ "$HELD" != encrypted ] || [ "$3" != fresh ]; then return 0; fi
  note proof "$OF" "$IN" "$1" "$2"
  note etcd "$ETCD"
  HELD=yes
}

# probed REVISION: the first object of a resource is as wanted; what is newer must be too
probed() {
  case $PROBED in *" $OF "*) return 0 ;; esac
  PROBED="$PROBED$OF "
  [ -n "$ETCD" ] || return 0
  others=$(newer "$1")
  [ -n "$others" ] || return 0
  STOPPED=yes
  warn "STOPPED: an API server still writes another form of $OF:" "$(printf '%s\n' "$others" | sed 5q | tr '\n' ' ')"
}

# failures: names that are left after all attempts; where the API server took one and wrote nothing else, all stop
failures() {
  while read -r word name why _; do
    [ "$word" = left ] || continue
    case $why in
      unread) text="it cannot be read" ;;
      etcd-unread) text="etcd gives no answer" ;;
      changing) text="kubectl and etcd do not show the same revision" ;;
      unchanged) text="the API server took it, and what is stored is not as wanted" ;;
      *) text="the API server did not take it" ;;
    esac
    warn "FAILED: $OF $IN $name: $text"
    FAILED=$((FAILED + 1))
    if [ "$why" = unchanged ]; then
      case $PROBED in
        *" $OF "*) ;;
        *)
          STOPPED=yes
          warn "STOPPED: this API server does not write $OF as wanted: switch the write path of every API server first"
          ;;
      esac
    fi
  done << END
$judged
END
}

rewrite() {
  if ! noted preserved rewrite > /dev/null; then preserved rewrite; fi
  objects
  counted="$DONE rewritten now, $GONE gone, $WROTE written and not looked at, $FAILED failed or left out"
  say "rewrite: $counted"
  if [ "$FAILED" != 0 ]; then
    warn "not all was rewritten: see above, and run it again"
    exit 1
  fi
  verify || exit
  note rewritten all
}
