# Reads `go test -v ./...` and prints a line per package, everything of a
# package that failed, which tests were skipped and why, and last how many
# tests passed and failed. Subtests count as tests.

function flush_package(failed) {
	if (failed) printf "%s", text
	text = ""
}

{ text = text $0 "\n" }

/^ *--- PASS: / { passed++ }
/^ *--- FAIL: / { failures++ }

# The reason stands in the lines behind, or before them for a subtest.
/^ *--- SKIP: / { skipped++; skip = $3; waiting = 1; next }
waiting && /^ +[^ ]+\.go:[0-9]+: / {
	reason = $0
	sub(/^ +[^ ]+\.go:[0-9]+: /, "", reason)
	why[reason] = why[reason] " " skip
	count[reason]++
	waiting = 0
}

/^ok  \t/ { print; fflush(); flush_package(0) }
/^\?   \t/ { flush_package(0) }
/^\t[^ ]+\t+coverage:/ { flush_package(0) }
/^FAIL\t/ { flush_package(1); fflush(); broken++; if (/\[(build|setup) failed\]/) failures++ }

END {
	flush_package(1)
	if (skipped) {
		printf "%d skipped:\n", skipped
		for (reason in count) printf "  %d because: %s (%s )\n", count[reason], reason, why[reason]
	}
	if (broken && !failures) failures = broken # a crash, or a data race, fails no single test
	printf "%d passed, %d failed\n", passed, failures
	exit failures > 0
}
