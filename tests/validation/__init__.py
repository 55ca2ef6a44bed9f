"""How often the auditor is wrong: random worlds whose every byte is known, audited, and measured.

python -m tests.validation --worlds 200        adds the next 200 worlds to tests/validation/results.jsonl
python -m tests.validation --table             makes auditor/docs/error-rates.md from that file
"""
