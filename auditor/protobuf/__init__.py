"""Generated from protos/ by protos/compile.py."""
