// Command e2e runs a real Kubernetes of three nodes on one machine, installs
// podnet_exporter into it as its users do, breaks it, and checks what is said.
package main
