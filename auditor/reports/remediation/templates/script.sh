#!/bin/sh
{% include "warning.sh" %}

{% include "basics.sh" %}

{% include "cluster.sh" %}

{% include "preserved.sh" %}

{% if plan.store == "etcd" %}
{% include "etcd.sh" %}

{% endif %}
{% include "rewrite.sh" %}

{% include "verify.sh" %}

{% if plan.compaction %}
{% include "compact.sh" %}

{% endif %}
{% if plan.defragmentation %}
{% include "defragment.sh" %}

{% endif %}
{% include "main.sh" %}

# ---- what this script is about
# {{ plan.origin }}
EA_RUN={{ plan.run | quote }}
EA_EVIDENCE={{ (plan.evidence or "-") | quote }}
EA_CLUSTER={{ plan.cluster | quote }}
EA_UID_SHOWN={{ "yes" if plan.uid_shown else "no" }}
EA_ETCD_THEN={{ plan.etcd_cluster | quote }}
EA_REVISION={{ plan.revision }}
EA_BINDING={{ plan.binding | quote }}
EA_STORE={{ plan.store | quote }}
EA_PREFIX={{ plan.prefix | quote }}
EA_MEMBERS_THEN={{ plan.members | join(",") | quote }}
EA_OBJECTS={{ plan.objects }}
EA_COMPACTION={{ "yes" if plan.compaction else "no" }}
EA_DEFRAGMENTATION={{ "yes" if plan.defragmentation else "no" }}
EA_NEEDED={{ plan.needed | quote }}

screen() {
:
{% for line in plan.screen %}
say {{ line | quote }}
{% endfor %}
}

# etcd-auditor, with the policy of the audit that this script is of
audit() {
command=$1
shift
"$AUDITOR" "$command" "$@"{% for word in plan.options %} {{ word | quote }}{% endfor %}

}
audit_current() {
{% if plan.watchable %}
audit watch "$ETCDCTL_ENDPOINTS" --once
{% else %}
audit scan "$ETCDCTL_ENDPOINTS" --range --accept-partial
{% endif %}
}

# every tree of keys that is to be in the wanted form
trees() {
{% for tree, form in plan.trees %}
at {{ tree | quote }} {{ tree | quote }} {{ form | quote }}
clean || return 1
{% endfor %}
:
}

{% if plan.objects %}
# Rewrite {{ plan.objects | plural("object") }} whose current value is not as it should be.
{% else %}
# No object is to be rewritten: what is left of the evidence's findings is no current value.
{% endif %}
{% if plan.refused %}
# Left out: {{ plan.refused | plural("object") }} whose name or namespace Kubernetes would not accept.
{% endif %}
objects() {
:
{% for group in plan.groups %}
at {{ group.tree | quote }} {{ group.root | quote }} {{ group.form | quote }}
{% for names in group.names | batch(plan.batch) %}
batch {{ group.resource | quote }} {{ (group.namespace or "-") | quote }}{% for name in names %} {{ name | quote }}{% endfor %}

{% endfor %}
{% endfor %}
}

{% for line in plan.remarks %}
# {{ line }}
{% endfor %}

main "$@"
