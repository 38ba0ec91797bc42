package main

// papingUsage is what paping prints when it does not understand its arguments.
const papingUsage = "Syntax: paping [options] destination\n\n" +
	"Options:\n" +
	" -?, --help\tdisplay usage\n" +
	" -p, --port N\tset TCP port N (required)\n" +
	"     --nocolor\tDisable color output\n" +
	" -t, --timeout\ttimeout in milliseconds (default 1000)\n" +
	" -c, --count N\tset number of checks to N\n\n"

// papingHelp is the help of this paping.
const papingHelp = `Times TCP connections to a port, about one per second: a ping for services.

Syntax: paping [options] destination
        podnet_exporter paping [options] destination

It takes paping 1.5.5's options and prints its lines, so that scripts written for
it go on to work; that is why the first line is paping's. The program is
podnet_exporter's own and has none of paping's code. To call it by that name,
make a link: ln -s podnet_exporter paping

Destination: an IPv4 or IPv6 address, or a name. Of a name with several addresses
the first IPv4 address is used, or else the first IPv6 address.

Options, in any order; a value is the next argument (--port 80, not --port=80)
  -p, --port N         TCP port, 1 to 65535 (required)
  -c, --count N        stop after N attempts; 0 means go on until Ctrl-C (default 0)
  -t, --timeout N      milliseconds to wait for an answer (default 1000). The kernel
                       sends a lost SYN again after 1 s: with 1000 a lost SYN is a
                       failure, with more it is a success with retransmits=1
      --nocolor        no colours; they are on by default, in a pipe too
  -4, -6               use IPv4, or IPv6, only
      --netns PATH     connect from a network namespace: /run/netns/NAME, or
                       /proc/PID/ns/net of a process in a pod (needs root). The name
                       is looked up outside of it, as this shell would
      --pod NAMESPACE/NAME
                       connect from that of a pod of this Kubernetes node. It is
                       found by /var/log/pods and the cgroups of processes
      --strict-compat  be like paping 1.5.5 where this one is better (see below)
      --help           this text

Lines, one write each, so that a pipe sees them at once
  Connected to 10.0.0.7: time=0.14ms protocol=TCP port=80
      Time is from SYN to SYN-ACK by the kernel's clock (TCP_INFO). The connection
      is closed with a reset, and nothing is sent on it.
  Connected to 10.0.0.7: time=0.14ms protocol=TCP port=80 retransmits=1
      A SYN or its answer was lost and sent again: there is packet loss. The second
      that was waited for it is no part of the time.
  Connection timed out
      Nothing came back. Typical of a firewall that drops, a wrong route, a host
      that is down.
  Connection refused
      The host answered that nothing listens on the port (or a firewall did, with
      a reset): the network is in order.
  No route to host
      This host, or the namespace, has no route to the destination.
  Host unreachable, Network unreachable, Port unreachable, Prohibited by a
  firewall, Time to live exceeded
      Somebody on the way said so, and is named: (ICMP type 3 code 13 from 10.0.0.1).
      If that is this host itself, the destination did not answer ARP or neighbour
      discovery.
  Denied by this host, No local port left, No buffer space on this host
      The connection did not leave this host: a local policy; all local ports
      for this destination are taken; a full queue.
  General failure
      This host could not even try. The reason is on standard error.

At the end, or on Ctrl-C, the statistics. Minimum, maximum and average are over
the attempts that connected. There is one attempt per second while they succeed,
and one per timeout + 1 second while they time out; the last one is waited for too.

Exit codes
  0    every attempt connected (or there was none yet when interrupted)
  1    at least one did not
  101  the destination was not found
  102  could not probe at all, such as --pod without root; the reason is on
       standard error
  200  wrong arguments: prints paping's usage, and on standard error what is wrong

With --strict-compat: every failure is "Connection timed out"; the average is over
all attempts, and the minimum stays 0.00 when the first one failed; the time has
the wait for a lost SYN in it; IPv4 only; a port over 65535 is taken modulo 65536;
-4, -6 and --help are destinations, as -? and -h always are; nothing is explained on
standard error.

Examples
  paping -p 443 -c 5 kubernetes.default.svc
  paping -p 80 --pod shop/web-1 10.244.2.2
  paping --nocolor -p 22 -c 1 10.0.0.7 >/dev/null || echo "ssh is down"
`
