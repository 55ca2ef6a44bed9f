"""The known answers of `etcd-auditor self-check`: how the pack is made, and that it says what is so."""
