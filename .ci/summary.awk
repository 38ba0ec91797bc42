# Reads `go test -v ./...` and prints a line per package, what a package that
# failed has written, which tests were skipped and why, and last how many tests
# passed and failed. Subtests count as tests.

# What is left out of the text of a failed package: it is about tests that passed.
/^=== (RUN|PAUSE|CONT|NAME)/ { next }
/^ *--- PASS: / { passed++; next }

{ text = text $0 "\n" }

/^ *--- FAIL: / { failures++ }

# A test says why it is skipped before it is.
/^ +[^ ]+\.go:[0-9]+: / { said = $0; sub(/^ +[^ ]+\.go:[0-9]+: /, "", said) }
/^ *--- SKIP: / { skipped++; count[said]++; who[said] = who[said] " " $3 }

/^ok  \t/ { print; fflush(); text = "" }
/^\?   \t/ { text = "" }
/^FAIL\t/ {
	printf "%s", text
	fflush()
	text = ""
	broken++
	if (/\[(build|setup) failed\]/) failures++
}

END {
	if (skipped) {
		printf "%d skipped:\n", skipped
		for (reason in count) printf "  %d because: %s (%s )\n", count[reason], reason, who[reason]
	} else {
		print "none skipped"
	}
	if (broken && !failures) failures = broken # a crash, or a data race, fails no single test
	printf "%d passed, %d failed\n", passed, failures
	exit failures > 0
}
