"""Objects outside a store: in backups that are tars of them, and in what kubectl prints."""
