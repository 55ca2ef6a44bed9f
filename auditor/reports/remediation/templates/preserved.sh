now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
who() { printf '%s' "${OPERATOR:-$(id -un)}" | tr -c 'A-Za-z0-9@._+-' '_'; }

# scan PATH OPTION...: etcd-auditor over evidence, which says nothing of another cluster's
scan() {
  path=$1
  shift
  if [ "$UID_SHOWN" = yes ]; then set -- "$@" --expect-cluster "$CLUSTER"; fi
  audit scan "$path" "$@" 2> "$TMP/audit"
}

# facts PATH: the lines of its JSON that are asked below
facts() {
  scan "$1" --json - |
    sed -n -e '/^ "complete"/p' -e '/^ "evidence": {/,/^ }/p' -e '/^ "counts": {/,/^ }/p'
}

# fact NAME INDENT: of the facts in $FACTSHEET
fact() {
  printf '%s\n' "$FACTSHEET" | sed -n -e "s/^$2\"$1\": \"\([^\"]*\)\".*/\1/p" -e "s/^$2\"$1\": \([0-9][0-9]*\).*/\1/p" | sed 1q
}

# examine PATH: kind, trailer, hash and revision of a piece of evidence of this cluster, at or past the script's own
examine() {
  [ -e "$1" ] || refuse "$1 does not exist"
  FACTSHEET=$(facts "$1")
  KIND=$(fact kind '  ') TRAILER=$(fact trailer '  ') SHA256=$(fact sha256 '  ') AT=$(fact revision '   ')
  GAPS=$(fact gaps '  ') CHANGED=$(fact changed '  ')
  if [ "$UID_SHOWN" = no ] && [ "$SHA256" != "$EVIDENCE" ]; then
    # the operator said of which cluster the evidence is: this is of the same etcd, or it cannot be told
    case $(fact uid '   ')/$(fact cluster_id '   ') in
      "$CLUSTER"/*) ;;
      /"${ETCD_THEN:-unknown}") ;;
      *) refuse "$1 does not show of which cluster it is" ;;
    esac
  fi
  if [ -z "$SHA256" ] || [ -z "$AT" ] || [ -n "$CHANGED" ]; then
    tail -n 3 "$TMP/audit" >&2
    refuse "$1 is not known to be evidence of cluster $CLUSTER"
  fi
  [ "$AT" -ge "$REVISION" ] || refuse "$1 is of revision $AT: older than the evidence, which is of $REVISION"
}

# preserved STEP [MEMBER]: what the step makes unrecoverable is kept elsewhere; for a member, a copy of its data directory
preserved() {
  step=$1 member=${2:-}
  if [ -n "${PRESERVED:-}" ]; then
    examine "$PRESERVED"
    whole=no
    case $KIND in
      'API snapshot') if [ -z "$member" ] && [ "$TRAILER" = matches ]; then whole=yes; fi ;;
      'etcd data directory'*) if [ "$GAPS" = 0 ]; then whole=yes; fi ;;
      'kine'*'SQLite database' | 'Gardener'*) if [ "$GAPS" = 0 ] && [ "$STORE" != etcd ]; then whole=yes; fi ;;
    esac
    [ "$whole" = yes ] || refuse "$PRESERVED is not whole, or not what this step needs ($KIND, $GAPS gaps)" "$NEEDED"
    if [ -n "$member" ]; then
      owner=$(wal_member "$PRESERVED")
      [ "$owner" = "$member" ] || refuse "$PRESERVED is not of member $member: its log is of ${owner:-none that can be read}"
    fi
    why=
  else
    SHA256=${PRESERVED_SHA256:-} AT=unread why=$(printf '%s' "${PRESERVED_REASON:-}" | tr -s '[:space:]' '_')
    case $SHA256 in *[!0-9a-f]*) SHA256= ;; esac
    if [ "$(printf '%s' "$SHA256" | wc -c)" -ne 64 ] || [ -z "$why" ]; then
      refuse "$step: what it makes unrecoverable is not preserved" "$NEEDED" \
        "or PRESERVED_SHA256=HASH PRESERVED_REASON='why there is no copy here'"
    fi
  fi
  note preserved "$step" "$SHA256" "$AT" "$(now)" "$(who)" ${why:+"$why"}
  say "preserved: SHA-256 $SHA256${why:+ ($why)}, revision $AT; noted by $(who)"
}

# wal_member DIRECTORY: the member's id, of the metadata at the beginning of the newest segment (etcd wal/walpb)
wal_member() {
  segment=$(find "$1" -type f -path '*wal/*' -name '*.wal' -print 2> /dev/null | sort | tail -n 1)
  [ -n "$segment" ] || return 0
  od -An -v -tu1 -N 1024 "$segment" | awk '
    { for (i = 1; i <= NF; i++) byte[n++] = $i }
    function skip(at) { while (byte[at] > 127) at++; return at + 1 }
    END {
      for (at = 0; at < n; at += 8 + size + (byte[at + 7] > 127 ? byte[at + 7] % 8 : 0)) {
        size = byte[at] + 256 * byte[at + 1] + 65536 * byte[at + 2]
        if (size < 1 || byte[at + 8] != 8) exit
        if (byte[at + 9] != 1) continue
        here = skip(at + 11)                       # the checksum
        here = skip(here + 1)                      # the length of the metadata
        if (byte[here] != 8) exit
        bits = ""
        do {
          here++
          value = byte[here] % 128
          part = ""
          for (bit = 0; bit < 7; bit++) { part = value % 2 part; value = int(value / 2) }
          bits = part bits
        } while (byte[here] > 127)
        while (length(bits) % 4) bits = "0" bits
        hex = ""
        for (i = 1; i <= length(bits); i += 4) {
          value = 8 * substr(bits, i, 1) + 4 * substr(bits, i + 1, 1) + 2 * substr(bits, i + 2, 1) + substr(bits, i + 3, 1)
          hex = hex substr("0123456789abcdef", value + 1, 1)
        }
        sub(/^0+/, "", hex)
        print hex
        exit
      }
    }'
}
