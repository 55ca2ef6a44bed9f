# etcdctl's own patience is two seconds to connect and five to answer: too little for a member that is busy
etcd() {
  ETCDCTL_API=3 ETCDCTL_DIAL_TIMEOUT=${ETCDCTL_DIAL_TIMEOUT:-20s} ETCDCTL_COMMAND_TIMEOUT=${ETCDCTL_COMMAND_TIMEOUT:-60s} \
    etcdctl "$@" 2>> "$EA_TMP/errors"
}

# members: CLUSTER MEMBER LEADER REVISION SIZE ERRORS ENDPOINT of each endpoint
members() {
  etcd endpoint status --write-out fields | awk '
    $1 == "\"ClusterID\"" { cluster = $3 } $1 == "\"MemberID\"" { member = $3 } $1 == "\"Leader\"" { leader = $3 }
    $1 == "\"Revision\"" { revision = $3 } $1 == "\"DBSize\"" { size = $3 }
    $1 == "\"IsLearner\"" { learner = $3 == "true" ? "LEARNER," : "" }
    $1 == "\"Errors\"" { errors = $0; sub(/^[^:]*: /, "", errors); gsub(/ /, ",", errors) }
    $1 == "\"Endpoint\"" { at = $3; gsub(/"/, "", at); print cluster, member, leader, revision, size, learner errors, at }'
}

# the etcd of this cluster: every endpoint answers, they have one cluster id, the same as ever, and it holds the uid
which_etcd() {
  count=$(printf '%s\n' "$ETCDCTL_ENDPOINTS" | tr ',' '\n' | grep -c .)
  EA_MEMBERS_NOW=$(members)
  if [ "$(printf '%s\n' "$EA_MEMBERS_NOW" | awk 'NF == 7' | wc -l)" -ne "$count" ]; then
    reasons
    refuse "of $count endpoint$(s "$count") in ETCDCTL_ENDPOINTS not every one answers"
  fi
  ids=$(printf '%s\n' "$EA_MEMBERS_NOW" | awk '{ print $1 }' | sort -u)
  [ "$(printf '%s\n' "$ids" | wc -l)" -eq 1 ] || refuse "ETCDCTL_ENDPOINTS names members of several etcd clusters"
  before=$(noted etcd) || before=$ids
  [ "$before" = "$ids" ] || refuse "ETCDCTL_ENDPOINTS is of etcd cluster $ids: the steps before were done to $before" \
    "if that was not the cluster's own etcd, move $EA_NOTES away: all is looked at again then"
  EA_ETCD=$ids
  printf '%s\n' "$EA_MEMBERS_NOW" | awk '$3 == 0 || $6 ~ /CORRUPT/ { exit 1 }' || refuse "a member has no leader, or the CORRUPT alarm"
  learner=$(printf '%s\n' "$EA_MEMBERS_NOW" | awk '$6 ~ /^LEARNER/ { print $7; exit }')
  [ -z "$learner" ] || refuse "$learner is a learner, which answers no reads and may be behind: leave it out, or promote it first"
  newest=$(printf '%s\n' "$EA_MEMBERS_NOW" | awk '$4 + 0 > most { most = $4 + 0 } END { printf "%d\n", most }')
  [ "$newest" -ge "$EA_REVISION" ] || refuse "this etcd is at revision $newest, the evidence is of $EA_REVISION: not this cluster, or a restored one"
  if [ "$EA_MODE" = rewrite ] && printf '%s\n' "$EA_MEMBERS_NOW" | grep -q NOSPACE; then
    refuse "a member has the NOSPACE alarm: nothing can be rewritten until it is disarmed"
  fi
  holds_uid
  same_members
  if [ "$EA_MODE" != dry ] && [ "$EA_HELD" = yes ] && ! noted etcd > /dev/null; then note etcd "$EA_ETCD"; fi
}

# whether etcd itself holds the uid; where it is encrypted there, an object that was just rewritten has shown it
holds_uid() {
  EA_HELD=$(etcd get "$EA_PREFIX/namespaces/kube-system" --write-out fields | awk -v uid="$EA_CLUSTER" -v cluster="$EA_ETCD" '
    $1 == "\"ClusterID\"" { other = $3 != cluster }
    $1 == "\"Value\"" { form = index($0, "\"Value\" : \"k8s:enc:") == 1 ? "encrypted" : index($0, uid) ? "yes" : "no" }
    $1 == "\"Count\"" { whole = 1 }
    END { print !whole || other ? "unread" : form ? form : "no" }')
  case $EA_HELD in
    yes) ;;
    encrypted) if noted proof > /dev/null; then EA_HELD=yes; fi ;;
    unread)
      reasons
      refuse "etcd does not give $EA_PREFIX/namespaces/kube-system"
      ;;
    *) refuse "this etcd is not that of cluster $EA_CLUSTER: its namespace kube-system is another or missing" ;;
  esac
}

# members that are not those of the evidence are shown, and confirmed
same_members() {
  [ -n "$EA_MEMBERS_THEN" ] || return 0
  now=
  for each in $(printf '%s\n' "$EA_MEMBERS_NOW" | awk '{ print $2 }' | sort -u); do
    now="$now${now:+,}$(printf '%x' "$each")"
  done
  for each in $(printf '%s\n' "$now" | tr ',' ' '); do
    case ",$EA_MEMBERS_THEN,${MEMBERS:-}," in
      *",$each,"*) ;;
      *)
        refuse "members are not those of the evidence: now $now, then $EA_MEMBERS_THEN" \
          "members come and go: if these are the cluster's, confirm them with MEMBERS=$now"
        ;;
    esac
  done
}

# FIELDS: etcdctl's answer -> NAME REVISION yes or no, whether the value begins as wanted; fails unless it is whole
# shellcheck disable=SC2016 # awk's own variables
EA_FIELDS='
  function good(value, wanted) {
    if (wanted == "any") return index(value, "\"k8s:enc:") == 1
    if (wanted == "plain") return index(value, "\"k8s:enc:") != 1
    return index(value, "\"" wanted) == 1
  }
  $1 == "\"ClusterID\"" && !id { id = $3 }
  $1 == "\"Key\"" { key = substr($0, 10); sub(/"$/, "", key) }
  $1 == "\"ModRevision\"" { revision = $3 }
  $1 == "\"Value\"" {
    n++
    if (index(key, ENVIRON["EA_ROOT"]) == 1)
      print substr(key, length(ENVIRON["EA_ROOT"]) + 1), revision, good(substr($0, 11), ENVIRON["EA_WANTED"]) ? "yes" : "no"
  }
  $1 == "\"Count\"" { count += $3; answers++ }
  END { exit !(id == cluster && answers == asked && (limit || count == n)) }'

# stored NAME...: the values of these objects at one revision
stored() {
  {
    echo
    for name in "$@"; do printf 'get %s%s\n' "$EA_ROOT" "$name"; done
    printf '\n\n'
  } | etcd txn --write-out fields | awk -v cluster="$EA_ETCD" -v asked="$#" -v limit=0 "$EA_FIELDS"
}

# newer REVISION: the names under TREE whose value was written after it in another form than WANTED
newer() {
  most=20
  while :; do
    found=$(etcd get "$EA_TREE" --prefix --sort-by=MODIFY --order=DESCEND --limit="$most" --write-out fields |
      EA_ROOT=$EA_TREE awk -v cluster="$EA_ETCD" -v asked=1 -v limit=1 "$EA_FIELDS") || {
      say "(etcd gives no answer)"
      return 0
    }
    # where all of them are newer, there may be more
    count=$(printf '%s\n' "$found" | awk -v after="$1" '$(NF - 1) + 0 > after + 0 { n++ } END { printf "%d\n", n }')
    if [ "$count" -lt "$most" ]; then break; fi
    most=$((most * 10))
  done
  printf '%s\n' "$found" | awk -v after="$1" '$(NF - 1) + 0 > after + 0 && $NF == "no" { print $1 }'
}
