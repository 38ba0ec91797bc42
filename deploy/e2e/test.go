package main

import "errors"

// errTestsFailed is wrapped when checks have failed. The table has said so
// already.
var errTestsFailed = errors.New("tests failed")
