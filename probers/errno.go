package probers

import "golang.org/x/sys/unix"

// reasonOfErrno says what an error of sendto or connect means when the kernel
// of this node made it by itself. What other nodes said arrives as an ICMP
// error and is judged by reasonOfICMP.
//
// Routes that refuse give the error of their type (kernel: fib_props in
// net/ipv4/fib_semantics.c, fib6_prop in net/ipv6/ip6_fib.c): blackhole EINVAL,
// unreachable EHOSTUNREACH, prohibit EACCES; no route at all ENETUNREACH.
func reasonOfErrno(errno unix.Errno) Reason {
	switch errno {
	case 0:
		return OK
	case unix.ENETUNREACH, unix.EINVAL, unix.ENETDOWN, unix.ENODEV, unix.EAFNOSUPPORT:
		return NoRoute
	case unix.EHOSTUNREACH, unix.EHOSTDOWN:
		return HostUnreachable
	case unix.EPERM, unix.EACCES:
		return LocalDenied
	case unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN:
		return LocalBuffer
	case unix.EMSGSIZE:
		return FragNeeded
	case unix.EADDRNOTAVAIL:
		return LocalPortsExhausted
	case unix.ECONNREFUSED:
		return Refused
	case unix.ECONNRESET, unix.EPIPE, unix.ECONNABORTED:
		return Reset
	case unix.ETIMEDOUT:
		return Timeout
	}
	return Impaired // EMFILE, ENFILE and the like: the prober's own trouble
}
