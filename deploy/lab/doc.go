// Command lab makes a cluster out of network namespaces on one machine, breaks
// it in known ways, and checks that the right alert pages. See README.md.
package main
