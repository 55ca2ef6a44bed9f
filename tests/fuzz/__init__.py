"""Structure-aware mutation of real evidence, and what must hold of whatever comes out.

    python -m tests.fuzz [--count 20000] [--seed 1] [--keep FOLDER] [--commands scan show diff keys verify ...]
    python -m tests.fuzz --seeds FIRST-LAST --count 2000    adds a line to results.jsonl for each seed that it lacks
    python -m tests.fuzz --table                            makes the table of auditor/docs/fuzzing.md from that file

The first prints how the files ended. tests/fuzz/test_*.py run a part of it in the test suite, tests/fuzz/guided.py lets
coverage guide it (atheris).
"""
