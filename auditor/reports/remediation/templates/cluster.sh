# what is asked of every object; kube-system is in the same answer, so that it is of the same cluster
EA_FACTS=custom-columns=KIND:.kind,NAME:.metadata.name,UID:.metadata.uid,VERSION:.metadata.resourceVersion
EA_WHOLE='jsonpath={range .items[*]}{.kind}{" "}{.metadata.uid}{" "}{@}{"\n"}{end}'

# the context and the server of the beginning are those of the end, whatever becomes of the kubeconfig meanwhile: of a
# pipe of two kubectl the second may read another file than the first
kube() {
  set -- "$@" --request-timeout=60s
  [ -z "$EA_SERVER" ] || set -- "$@" --server="$EA_SERVER"
  [ -z "$EA_CONTEXT" ] || set -- "$@" --context="$EA_CONTEXT"
  kubectl "$@"
}

# the uid of kube-system decides
which_cluster() {
  try=1
  until uid=$(kube get namespace kube-system --output 'jsonpath={.metadata.uid}' 2> "$EA_TMP/login") && [ -n "$uid" ]; do
    if [ "$try" -ge "$TRIES" ]; then
      tail -n 3 "$EA_TMP/login" >&2
      refuse "kubectl cannot read the namespace kube-system, whose uid says which cluster this is" "log in, or choose the context"
    fi
    sleep "$PAUSE"
    try=$((try + 1))
  done
  [ "$uid" = "$EA_CLUSTER" ] || refuse "kubectl speaks to another cluster: the uid of its kube-system is $uid" \
    "the evidence is of $EA_CLUSTER: choose its context (kubectl config get-contexts)"
}

# allowed: before each batch and each step
allowed() {
  unheld
  which_cluster
}

# look RESOURCE NAMESPACE NAME...: NAME UID VERSION of each object. 1: some could not be read; 2: none, or another cluster
look() {
  resource=$1 namespace=$2
  shift 2
  for each in "$@"; do
    shift
    set -- "$@" "$resource/$each"
  done
  if [ "$namespace" != - ]; then set -- "$@" --namespace "$namespace"; fi
  code=0
  answer=$(kube get namespace/kube-system "$@" --ignore-not-found --no-headers --output "$EA_FACTS" 2>> "$EA_TMP/errors") || code=1
  printf '%s\n' "$answer" | awk -v uid="$EA_CLUSTER" '
    NR == 1 { if ($1 != "Namespace" || $2 != "kube-system" || $3 != uid) { bad = 1; exit } next }
    NF == 4 { print $2, $3, $4 }
    END { exit bad }' || return 2
  return "$code"
}

# copy RESOURCE NAMESPACE NAME...: what the API server gives goes back unchanged, on condition of its uid and
# resourceVersion; prints the names that it took, which proves nothing: look
copy() {
  resource=$1 namespace=$2
  shift 2
  for each in "$@"; do
    shift
    set -- "$@" "$resource/$each"
  done
  if [ "$namespace" != - ]; then set -- "$@" --namespace "$namespace"; fi
  kube get namespace/kube-system "$@" --ignore-not-found --output "$EA_WHOLE" 2>> "$EA_TMP/errors" |
    awk -v uid="$EA_CLUSTER" '
      NR == 1 { if ($1 != "Namespace" || $2 != uid) exit; next }
      NF > 2 { print substr($0, length($1) + length($2) + 3) }' |
    if [ "$EA_MODE" = dry ]; then
      kube replace --dry-run=server --validate=false --output name --filename - 2>> "$EA_TMP/errors"
    else
      kube replace --validate=false --output name --filename - 2>> "$EA_TMP/errors"
    fi | sed 's|.*/||'
}
