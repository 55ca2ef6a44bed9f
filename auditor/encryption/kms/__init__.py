"""Services that unwrap data keys: a module each, their contract in interface.py, their table in services.py."""
