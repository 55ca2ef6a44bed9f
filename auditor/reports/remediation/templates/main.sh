# a leading zero is octal to some shells, and more digits than nine no number to any
number() { case $2 in '' | *[!0-9]* | 0?* | ??????????*) refuse "$1 takes a whole number of at most nine digits" ;; esac }

# choose: one step at a time, each with a confirmation of its own
choose() {
  EA_MODE=dry
  case ${APPLY:-no} in no) ;; yes) EA_MODE=rewrite ;; *) refuse "APPLY takes yes" ;; esac
  case ${COMPACT:-no} in
    no) ;;
    yes)
      [ "$EA_MODE" = dry ] || refuse "one step at a time: APPLY, COMPACT or DEFRAGMENT"
      [ "$EA_COMPACTION" = yes ] || refuse "this script has no compaction"
      EA_MODE=compact
      ;;
    *) refuse "COMPACT takes yes" ;;
  esac
  if [ -n "${DEFRAGMENT:-}" ]; then
    [ "$EA_MODE" = dry ] || refuse "one step at a time: APPLY, COMPACT or DEFRAGMENT"
    [ "$EA_DEFRAGMENTATION" = yes ] || refuse "this script has no defragmentation"
    EA_MODE=defragment
  fi
}

dry() {
  objects
  say "dry run: $EA_WOULD of $EA_OBJECTS object$(s "$EA_OBJECTS") would be rewritten, $EA_GONE are gone, $EA_FAILED would fail;" \
    "$((EA_OBJECTS - EA_WOULD - EA_GONE - EA_FAILED)) are done; nothing was stored"
  if [ "$EA_COMPACTION" = yes ]; then say "would run: etcdctl compaction --physical REVISION"; fi
  if [ "$EA_DEFRAGMENTATION" = yes ]; then say "would run: etcdctl defrag, of one member at a time"; fi
  [ "$EA_FAILED" = 0 ] || exit 1
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
  if [ "$PER_SECOND" -gt 0 ] && [ "$PER_SECOND" -lt "$EA_CHUNK" ]; then EA_CHUNK=$PER_SECOND; fi
  choose
  if [ ! -f "$0" ] || [ -h "$0" ]; then refuse "run the script's own file by its path: notes and holds are in its folder"; fi
  EA_FOLDER=$(cd -- "$(dirname -- "$0")" && pwd -P) || refuse "the folder of this script cannot be entered"
  [ -r "$EA_FOLDER" ] || refuse "the folder of this script cannot be read: a HOLD would not be seen"
  command -v kubectl > /dev/null || refuse "kubectl is not in PATH"
  screen
  unheld
  EA_TMP=$(mktemp -d) || refuse "there is no room for temporary files"
  trap leave EXIT
  trap 'exit 130' INT TERM HUP
  : > "$EA_TMP/errors"
  if [ "$EA_MODE" != dry ]; then lock; fi
  open_notes
  EA_CONTEXT=$(kubectl config current-context 2> /dev/null) || EA_CONTEXT=
  EA_SERVER=$(kubectl config view --minify ${EA_CONTEXT:+--context="$EA_CONTEXT"} \
    --output 'jsonpath={.clusters[0].cluster.server}' 2> /dev/null) || EA_SERVER=
  which_cluster
  EA_ETCD='' EA_HELD=no
  if [ "$EA_STORE" = etcd ] && [ -n "${ETCDCTL_ENDPOINTS:-}" ]; then which_etcd; fi
  case $EA_MODE in
    dry) dry ;;
    rewrite) rewrite ;;
    compact) compact ;;
    defragment) defragment ;;
  esac
}
