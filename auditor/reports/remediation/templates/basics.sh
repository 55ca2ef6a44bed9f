set -uf
LC_ALL=C
export LC_ALL
umask 077
unset CDPATH IFS
TRIES=${TRIES:-4}
PAUSE=${PAUSE:-2}
AUDITOR=${AUDITOR:-etcd-auditor}
AUDITED=${AUDITED:-}
export AUDITED
PER_SECOND=${PER_SECOND:-0}
EA_CHUNK=50
EA_TMP='' EA_LOCKED='' EA_NOTES=''
EA_HOLD='^[[:space:]]*(export[[:space:]]+)?HOLD[[:space:]]*[=:][[:space:]]*["'\'']?(yes|true)([^a-z]|$)'

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
s() { [ "$1" = 1 ] || printf s; }

# refuse SENTENCE...: exit code 2
refuse() {
  warn "REFUSED: $1"
  shift
  for line in "$@"; do warn "  $line"; done
  exit 2
}

leave() {
  [ -z "$EA_TMP" ] || rm -rf "$EA_TMP"
  [ -z "$EA_LOCKED" ] || rm -f "$EA_LOCKED"
}

# the errors that kubectl and etcdctl gave, as reasons: their texts may quote an object
reasons() {
  [ -s "$EA_TMP/errors" ] || return 0
  sed -n -e 's/^Error from server (\([A-Za-z]*\)).*/the API server answers \1/p' \
    -e 's/.*must be logged in.*/the login has expired/p' -e 's/.*nable to connect.*/the API server cannot be reached/p' \
    -e 's/.*reading response body.*/an answer of the API server was cut off/p' \
    -e 's/.*permission denied.*/etcd answers permission denied/p' -e 's/.*deadline exceeded.*/etcd does not answer/p' \
    -e 's/^error: .*/kubectl gives up: try its get and replace by hand/p' \
    "$EA_TMP/errors" | sort | uniq -c >&2
  : > "$EA_TMP/errors"
}

# a hold stops everything but the dry run: in the environment, as a file HOLD, or as a line of a small file
unheld() {
  [ "$EA_MODE" != dry ] || return 0
  case ${HOLD:-no} in
    no)
      # grep names the files with such a line, and says nothing of those that it cannot read
      holder=$({
        find -L "$EA_FOLDER/." ! -name . -prune \( -name HOLD -o -name 'HOLD[.=]*' \) -print
        find -L "$EA_FOLDER/." ! -name . -prune -type f -size -128 -exec grep -Eils "$EA_HOLD" {} +
      } 2> /dev/null | LC_ALL=C tr -c '[:print:]\n' '?')
      ;;
    *) holder="in the environment" ;;
  esac
  [ -z "$holder" ] || refuse "HOLD: nothing is changed while it stands" "$holder"
}

# one run in a folder at a time: a symbolic link is made at once and whole, and says whose it is
lock() {
  link=$EA_FOLDER/$EA_RUN.lock
  mine="$(uname -n) $$"
  if ! ln -s "$mine" "$link" 2> /dev/null; then
    owner=$(readlink "$link") || owner=
    pid=${owner##* }
    # a process of another user refuses the signal, and is in /proc
    if [ "${owner% *}" != "$(uname -n)" ] || [ -z "$pid" ] || kill -0 "$pid" 2> /dev/null || [ -d "/proc/$pid" ]; then
      refuse "another run holds $link: ${owner:-its owner is not known}" "if it ended without a word, remove that link"
    fi
    # its owner is dead: whoever makes the second link may remove the first
    ln -s "$mine" "$link.broken" 2> /dev/null || refuse "another run takes over $link" "if there is none, remove $link.broken"
    if [ "$(readlink "$link")" = "$owner" ]; then rm -f "$link"; fi
    if ! ln -s "$mine" "$link" 2> /dev/null; then
      rm -f "$link.broken"
      refuse "another run holds $link"
    fi
    rm -f "$link.broken"
  fi
  EA_LOCKED=$link
}

# notes are lines of this script's own file, whole only with their last word; they are bound to evidence, cluster and key
open_notes() {
  EA_NOTES=$EA_FOLDER/$EA_RUN.notes
  head="evidence $EA_EVIDENCE cluster $EA_CLUSTER wanted $EA_BINDING ."
  if [ ! -e "$EA_NOTES" ]; then
    [ -n "$EA_LOCKED" ] || return 0
    if ! { printf '%s\n' "$head" > "$EA_NOTES.$$" && ln "$EA_NOTES.$$" "$EA_NOTES"; }; then refuse "$EA_NOTES cannot be written"; fi
    rm -f "$EA_NOTES.$$"
  fi
  if [ ! -f "$EA_NOTES" ] || [ "$(sed -n 1p "$EA_NOTES")" != "$head" ]; then
    refuse "$EA_NOTES is not of this script: move it away"
  fi
  if [ -n "$EA_LOCKED" ] && [ -n "$(tail -c 1 "$EA_NOTES")" ]; then printf '\n' >> "$EA_NOTES"; fi
}

note() { printf '%s .\n' "$*" >> "$EA_NOTES" || refuse "$EA_NOTES cannot be written: nothing more is done"; }

# noted WORD...: the rest of the last whole note that begins so
noted() {
  [ -e "$EA_NOTES" ] || return 1
  EA_FIND="$* " awk 'index($0, ENVIRON["EA_FIND"]) == 1 && / \.$/ { last = substr($0, length(ENVIRON["EA_FIND"]) + 1) }
    END { if (last == "") exit 1; sub(/ \.$/, "", last); print last }' "$EA_NOTES"
}

# pending RESOURCE NAMESPACE NAME...: the names that are not noted as done since anything was last found to be left
pending() {
  [ -e "$EA_NOTES" ] || { shift 2; say "$*"; return 0; }
  EA_OF=$1 EA_IN=$2
  export EA_OF EA_IN
  shift 2
  EA_NAMES="$*" awk '
    $1 == "again" && $NF == "." { split("", done) }
    ($1 == "done" || ($1 == "written" && ENVIRON["AUDITED"] != "")) && $2 == ENVIRON["EA_OF"] && $3 == ENVIRON["EA_IN"] && NF == 7 && $7 == "." { done[$4] = 1 }
    END { n = split(ENVIRON["EA_NAMES"], name, " "); for (i = 1; i <= n; i++) if (!(name[i] in done)) printf "%s ", name[i] }
  ' "$EA_NOTES"
}
