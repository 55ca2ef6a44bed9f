# verify: whether nothing is left, by the exit code of etcd-auditor over etcd, or by the audit of a later snapshot
verify() {
  if [ -n "$EA_ETCD" ]; then
    say "verify: reading every current value"
    code=0
    audit_current > "$EA_TMP/verified" 2>&1 || code=$?
    # the conclusion and what follows it, or how an error ends
    awk '/^(FINDINGS|INCONCLUSIVE|NO FINDINGS)/ { from = NR } from && NR < from + 12 { print } { line[NR] = $0 }
      END { if (!from) for (n = NR > 8 ? NR - 7 : 1; n <= NR; n++) print line[n] }' "$EA_TMP/verified"
  elif [ -n "${AUDITED:-}" ]; then
    code=0
    audited || code=$?
  else
    warn "what is stored was not looked at: take a snapshot now, and run this again with AUDITED=SNAPSHOT (or ETCDCTL_ENDPOINTS)"
    return 3
  fi
  if [ "$code" = 0 ]; then
    note verified "$(now)"
    return 0
  fi
  # whatever is noted as done is looked at again
  if [ -e "$EA_NOTES" ]; then note again "$(now)"; fi
  warn "NOT VERIFIED: etcd-auditor ends with $code: something is left, or could not be told" \
    "what was written since the evidence needs new evidence and a new script"
  return 1
}

# audited: the second audit; 1 where a current value is not as wanted, 3 where that cannot be told
audited() {
  examine "$AUDITED"
  last=$(awk '$1 == "written" && NF == 7 && $6 + 0 > most { most = $6 + 0 } END { printf "%d\n", most }' "$EA_NOTES")
  [ "$EA_AT" -ge "$last" ] || refuse "$AUDITED is of revision $EA_AT, from before the rewrite (revision $last): take another"
  case $EA_KIND in 'API snapshot') [ "$EA_TRAILER" = matches ] || return 3 ;; esac
  left=$(scan "$AUDITED" --csv - |
    awk -F, 'NR == 1 { whole = $3 == "place" } $3 == "latest" && $5 != "low" { n++ } END { print whole ? n + 0 : "unread" }')
  say "verify: $AUDITED, revision $EA_AT: $left current value$(s "$left") not as wanted"
  case $left in 0) ;; unread) return 3 ;; *) return 1 ;; esac
  case $EA_FACTSHEET in *'"complete": true'*) ;; *) return 3 ;; esac
}
