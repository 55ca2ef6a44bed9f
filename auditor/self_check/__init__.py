"""Whether this installation gives the right answers to evidence whose answers are known, and is what was installed."""
