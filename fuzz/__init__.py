"""Coverage-guided fuzzing of the parsers, one module a parser; ``python -m fuzz`` runs them.

A target is a function ``check(data)``: it reads a case from the fuzzer's bytes, runs it on every core in
several ways, and raises where two of them differ or anything but a parser's own error comes up. It needs
no fuzzer: the inputs in ``tests/corpus`` go through it in every run of the tests.
"""
