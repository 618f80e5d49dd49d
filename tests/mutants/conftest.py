"""This is a program, not a suite: `make mutants`."""

collect_ignore_glob = ["*"]
