now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
who() { printf '%s' "${OPERATOR:-$(id -un)}" | tr -c 'A-Za-z0-9@._+-' '_'; }

# scan PATH OPTION...: etcd-auditor over evidence, which says nothing of another cluster's
scan() {
  path=$1
  shift
  if [ "$EA_UID_SHOWN" = yes ]; then set -- "$@" --expect-cluster "$EA_CLUSTER"; fi
  audit scan "$path" "$@" 2> "$EA_TMP/audit"
}

# facts PATH: the lines of its JSON that are asked below
facts() {
  scan "$1" --json - |
    sed -n -e '/^ "complete"/p' -e '/^ "evidence": {/,/^ }/p' -e '/^ "counts": {/,/^ }/p' -e '/^ "not_examined": \[/,/^ \]/p'
}

# fact NAME INDENT: of the facts in $EA_FACTSHEET
fact() {
  printf '%s\n' "$EA_FACTSHEET" | sed -n -e "s/^$2\"$1\": \"\([^\"]*\)\".*/\1/p" -e "s/^$2\"$1\": \([0-9][0-9]*\).*/\1/p" | sed 1q
}

# examine PATH: kind, trailer, hash and revision of a item of evidence of this cluster, at or past the script's own
examine() {
  [ -e "$1" ] || refuse "$1 does not exist"
  EA_FACTSHEET=$(facts "$1")
  EA_KIND=$(fact kind '  ') EA_TRAILER=$(fact trailer '  ') EA_SHA256=$(fact sha256 '  ') EA_AT=$(fact revision '   ')
  EA_GAPS=$(fact gaps '  ') EA_CHANGED=$(fact changed '  ')
  if [ "$EA_UID_SHOWN" = no ] && [ "$EA_SHA256" != "$EA_EVIDENCE" ]; then
    # the operator said of which cluster the evidence is: this is of the same etcd, or it cannot be told
    case $(fact uid '   ')/$(fact cluster_id '   ') in
      "$EA_CLUSTER"/*) ;;
      /"${EA_ETCD_THEN:-unknown}") ;;
      *) refuse "$1 does not show of which cluster it is" ;;
    esac
  fi
  if [ -z "$EA_SHA256" ] || [ -z "$EA_AT" ] || [ -n "$EA_CHANGED" ]; then
    tail -n 3 "$EA_TMP/audit" >&2
    refuse "$1 is not known to be evidence of cluster $EA_CLUSTER"
  fi
  [ "$EA_AT" -ge "$EA_REVISION" ] || refuse "$1 is of revision $EA_AT: older than the evidence, which is of $EA_REVISION"
}

# preserved STEP [MEMBER]: what the step makes unrecoverable is kept elsewhere; for a member, a copy of its data directory
preserved() {
  step=$1 member=${2:-}
  if [ -n "${PRESERVED:-}" ]; then
    if [ -e "$PRESERVED" ] && [ ! -f "$PRESERVED" ] && [ ! -d "$PRESERVED" ]; then
      refuse "$PRESERVED is no file and no folder: nothing would be left of it" "$EA_NEEDED"
    fi
    examine "$PRESERVED"
    case $EA_FACTSHEET in
      *' in use",'*) refuse "$PRESERVED is in use by a process that changes it: preserve a copy" "$EA_NEEDED" ;;
    esac
    whole=no
    case $EA_STORE/$EA_KIND in
      'etcd/API snapshot') if [ -z "$member" ] && [ "$EA_TRAILER" = matches ]; then whole=yes; fi ;;
      kine/*alone) ;;
      'etcd/etcd data directory'* | kine/kine* | gardener/Gardener*) if [ "$EA_GAPS" = 0 ]; then whole=yes; fi ;;
    esac
    [ "$whole" = yes ] || refuse "$PRESERVED is not whole, or not what this step needs ($EA_KIND, $EA_GAPS gap$(s "$EA_GAPS"))" "$EA_NEEDED"
    if [ -n "$member" ]; then
      owner=$(wal_member "$PRESERVED")
      [ "$owner" = "$member" ] || refuse "$PRESERVED is not of member $member: its log is of ${owner:-none that can be read}"
    fi
    why=
  else
    EA_SHA256=${PRESERVED_SHA256:-} EA_AT=unread why=$(printf '%s' "${PRESERVED_REASON:-}" | tr -s '[:space:]' '_')
    case $EA_SHA256 in *[!0-9a-f]*) EA_SHA256= ;; esac
    if [ "$(printf '%s' "$EA_SHA256" | wc -c)" -ne 64 ] || [ -z "$why" ]; then
      refuse "$step: what it makes unrecoverable is not preserved" "$EA_NEEDED" \
        "or PRESERVED_SHA256=HASH PRESERVED_REASON='why there is no copy here'"
    fi
  fi
  note preserved "$step" "$EA_SHA256" "$EA_AT" "$(now)" "$(who)" ${why:+"$why"}
  say "preserved: SHA-256 $EA_SHA256${why:+ ($why)}, revision $EA_AT; noted by $(who)"
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
