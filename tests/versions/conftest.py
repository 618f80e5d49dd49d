"""This is a program, not a suite: `make test-versions`."""

collect_ignore_glob = ["*"]
