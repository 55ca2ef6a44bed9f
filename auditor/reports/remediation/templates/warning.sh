# WARNING: this script destroys evidence: it overwrites, compacts or frees what was found.
# Preserve the evidence first, and rotate the credentials named here: whoever has an old backup can still read them.
# Nothing here was run. Read it, and try it on a test cluster.
#
#   sh FILE                                            a dry run: counts; the API server tries every rewrite and stores nothing
#   APPLY=yes PRESERVED=SNAPSHOT sh FILE               rewrites, looks at what is stored then, and verifies
#   COMPACT=yes PRESERVED=SNAPSHOT sh FILE             compacts the history, once nothing is left to rewrite
#   DEFRAGMENT=MEMBER PRESERVED=DATA-DIRECTORY sh FILE defragments one member, followers first
#
# One step at a time; started again, each goes on where it was. Steps that do not apply to the evidence are not here.
#
#   PRESERVED=PATH      what must be preserved before the step: checked, hashed, noted. Where there is no local copy:
#                       PRESERVED_SHA256=HASH PRESERVED_REASON='why there is none here'
#   OPERATOR=NAME       who is noted; else the user of this machine
#   HOLD=yes            in the environment, or in any small file beside this one: only the dry run goes on
#   ETCDCTL_ENDPOINTS=  every member, with etcdctl's other variables: stored bytes are looked at. Without it:
#   AUDITED=SNAPSHOT    a snapshot taken after the rewrite, which is audited instead
#   MEMBERS=ID,ID       confirms members that are not those of the evidence
#   PER_SECOND=N        or --per-second N: rewrites at most N objects a second
#   AUDITOR=PROGRAM     etcd-auditor, if not in PATH
#
# Exit codes: 0 done; 1 something failed or is left; 2 refused, and nothing more was done; 3 not known yet.
