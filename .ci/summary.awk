# Reads `go test -v ./...` and prints a line per package, what the tests that
# failed have written, which tests were skipped and why, which failed, and last
# how many passed and failed. Subtests count as tests.

# What follows is written by this test.
/^=== (RUN|CONT|NAME) / { test = $3; next }
/^=== PAUSE |^(PASS|FAIL)$/ { next }

/^ *--- PASS: / { passed++; delete text[$3]; next }
/^ *--- FAIL: / { failures++; failed = failed "  " $3 "\n"; wrong = wrong $0 "\n" text[$3]; delete text[$3]; next }

# A test says why it is skipped before it is.
/^ +[^ ]+\.go:[0-9]+: / { said = $0; sub(/^ +[^ ]+\.go:[0-9]+: /, "", said) }
/^ *--- SKIP: / { skipped++; count[said]++; who[said] = who[said] " " $3; delete text[$3]; next }

/^ok  \t/ { print; fflush(); clear(); next }
/^\?   \t/ { clear(); next }
/^FAIL\t/ {
	printf "%s", wrong
	for (t in text) printf "%s", text[t] # of tests that did not end: a panic, a time-out, what does not compile
	print
	fflush()
	clear()
	broken++
	if (/\[(build|setup) failed\]/) failures++
	next
}

{ text[test] = text[test] $0 "\n" }

function clear() { split("", text); wrong = test = said = "" }

END {
	for (t in text) printf "%s", text[t]
	if (skipped) {
		printf "%d skipped:\n", skipped
		for (reason in count) printf "  %d because: %s (%s )\n", count[reason], reason, who[reason]
	} else {
		print "none skipped"
	}
	if (failed) printf "failed:\n%s", failed
	if (broken && !failures) failures = broken # a crash, or a data race, fails no single test
	printf "%d passed, %d failed\n", passed, failures
	exit failures > 0
}
