package main

// mtrHelp is the whole manual.
const mtrHelp = `Usage: podnet_exporter mtr [options] [HOST...]

Shows the path to a host, hop by hop: every router on the way, how much it
loses, and how long it takes. Options, output and exit codes are those of mtr
0.95; what it cannot do is listed last. Without a HOST it is localhost.

What is shown
 -r, --report               a table, after -c cycles
 -w, --report-wide          the same, with names in full
 -t, --curses               a display that is redrawn (the default on a terminal;
                            without one it is -r). Keys: q quits, r resets,
                            p pauses, space resumes
 -j, --json                 JSON, after -c cycles
 -C, --csv                  comma separated values, after -c cycles
 -x, --xml                  XML, after -c cycles
 -l, --raw                  a line per event: x HOP SEQ sent, h HOP ADDRESS,
                            d HOP NAME, p HOP MICROSECONDS SEQ answered,
                            with -e m HOP LABEL CLASS BOTTOM TTL
 -p, --split                a line per hop whenever it changes
 -n, --no-dns               addresses instead of names
 -b, --show-ips             names and addresses
 -o, --order FIELDS         the columns, default "LS NABWV":
                            L loss in %, D lost, R received, S sent, N last,
                            B best, A mean, W worst, V standard deviation,
                            G geometric mean, J jitter, M its mean, X its worst,
                            I as in RFC 1889 (16 times the estimate), space
 -y, --ipinfo N             a fact about each address, 0 to 4; and
 -z, --aslookup             its AS number: both show ???, nothing is looked up
 -e, --mpls                 MPLS labels that routers tell of; not in JSON, CSV, XML
     --displaymode N        accepted

How it is measured
 -c, --report-cycles N      cycles; each probes every hop once (10; the display
                            and -p go on until told otherwise)
 -i, --interval SECONDS     length of a cycle (1); below 1 for root only
 -G, --gracetime SECONDS    how long to wait for answers at the end (5); it
                            ends when all have come
 -Z, --timeout SECONDS      when a probe counts as lost (10)
 -u, --udp                  UDP instead of ICMP echo
 -T, --tcp                  TCP SYN instead of ICMP echo
 -P, --port N               port (33434 for UDP, 80 for TCP)
 -L, --localport N          source port of UDP, 1024 to 65535
 -s, --psize N              size of the packets in bytes, headers included (64);
                            negative: random, up to N
 -B, --bitpattern N         every byte of the payload behind its first 16, 0 to
                            255 (0); above, or negative: one at random. Not of TCP
 -Q, --tos N                type of service, or traffic class, 0 to 255
 -f, --first-ttl N          the first hop (1)
 -m, --max-ttl N            the last hop (30)
 -U, --max-unknown N        silent hops in a row after which to give up (12)
 -a, --address ADDRESS      source address
 -I, --interface NAME       send through this interface
 -M, --mark N               mark of the packets (SO_MARK)
 -4, -6                     IPv4 only, IPv6 only
 -F, --filename FILE        read hosts from a file, one per line; - is stdin

What mtr cannot do
     --netns PATH           measure from a network namespace: /run/netns/NAME, or
                            /proc/PID/ns/net of a process in a pod. Names are
                            looked up outside of it
     --pod NAMESPACE/NAME   measure from that of a pod of this Kubernetes node. It
                            is found by /var/log/pods and the cgroups of processes
     --flows N              measure N flows, 1 to 16 (1). Packets of one flow take
                            one way through equal-cost paths
     --explain              say after the table what the numbers mean
     --loss-decimals N      decimals of the loss, 1, or 2 as after mtr 0.96
     --strict-compat        do as mtr where mtr is wrong: no row and exit code 0 if
                            nobody answers, exit code 0 if a host has no address,
                            nothing said on the standard error

How to read it
 Loss at one hop that later hops do not share is no loss: that router limits how
 many answers it sends, and forwards all the same. Only loss that lasts to the
 last line is real, and it begins at the first hop from where on it lasts. That
 hop is named on the standard error as LOSS BEGINS (with --explain, behind the
 table), and so is who refuses the packets and why. If StDev is high, Avg says
 little: read Best and Wrst.

Exit codes
 0    measured
 1    wrong options, cannot probe, no address for the host, or nobody answered
 130  interrupted, after printing what was measured

Options in MTR_OPTIONS come before those given here. ICMP, UDP and TCP probes
need CAP_NET_RAW; --netns and --pod need CAP_SYS_ADMIN and CAP_SYS_PTRACE too.

Examples
 podnet_exporter mtr -rwn -c 100 10.244.2.2
 podnet_exporter mtr -T -P 443 --flows 8 --explain -r 10.244.2.2
 podnet_exporter mtr --pod shop/web-1 -j -n 10.96.0.10
`
