number() { case $2 in '' | *[!0-9]*) refuse "$1 takes a whole number" ;; esac }

# choose: one step at a time, each with a confirmation of its own
choose() {
  MODE=dry
  case ${APPLY:-no} in no) ;; yes) MODE=rewrite ;; *) refuse "APPLY takes yes" ;; esac
  case ${COMPACT:-no} in
    no) ;;
    yes)
      [ "$MODE" = dry ] || refuse "one step at a time: APPLY, COMPACT or DEFRAGMENT"
      [ "$COMPACTION" = yes ] || refuse "this script has no compaction"
      MODE=compact
      ;;
    *) refuse "COMPACT takes yes" ;;
  esac
  if [ -n "${DEFRAGMENT:-}" ]; then
    [ "$MODE" = dry ] || refuse "one step at a time: APPLY, COMPACT or DEFRAGMENT"
    [ "$DEFRAGMENTATION" = yes ] || refuse "this script has no defragmentation"
    MODE=defragment
  fi
}

dry() {
  objects
  say "dry run: $WOULD of $OBJECTS objects would be rewritten, $GONE are gone, $FAILED would fail;" \
    "$((OBJECTS - WOULD - GONE - FAILED)) are done; nothing was stored"
  if [ "$COMPACTION" = yes ]; then say "would run: etcdctl compaction --physical REVISION"; fi
  if [ "$DEFRAGMENTATION" = yes ]; then say "would run: etcdctl defrag, of one member at a time"; fi
  [ "$FAILED" = 0 ] || exit 1
}

main() {
  while [ $# -gt 0 ]; do
    case $1 in
      --per-second)
        PER_SECOND=${2:-}
        shift
        ;;
      --per-second=*) PER_SECOND=${1#*=} ;;
      *) refuse "$1 is not understood: read the beginning of this script" ;;
    esac
    [ $# = 0 ] || shift
  done
  number --per-second "$PER_SECOND"
  number TRIES "$TRIES"
  number PAUSE "$PAUSE"
  if [ "$PER_SECOND" -gt 0 ] && [ "$PER_SECOND" -lt "$CHUNK" ]; then CHUNK=$PER_SECOND; fi
  choose
  FOLDER=$(cd -- "$(dirname -- "$0")" && pwd -P) || refuse "the folder of this script cannot be entered"
  command -v kubectl > /dev/null || refuse "kubectl is not in PATH"
  screen
  if [ "$MODE" != dry ] && held; then refuse "HOLD: nothing is changed while it stands"; fi
  TMP=$(mktemp -d) || refuse "there is no room for temporary files"
  trap leave EXIT
  trap 'exit 130' INT TERM HUP
  : > "$TMP/errors"
  if [ "$MODE" != dry ]; then lock; fi
  open_notes
  CONTEXT=$(kubectl config current-context 2> /dev/null) || CONTEXT=
  which_cluster
  ETCD='' HELD=no
  if [ "$STORE" = etcd ] && [ -n "${ETCDCTL_ENDPOINTS:-}" ]; then which_etcd; fi
  case $MODE in
    dry) dry ;;
    rewrite) rewrite ;;
    compact) compact ;;
    defragment) defragment ;;
  esac
}
