package main

// probeHelp follows the flags in the help of the command probe.
const probeHelp = `What it does
  icmp  sends echo requests and waits for the replies (ping).
  tcp   opens connections, closes them with a reset, sends nothing on them (paping).
  udp   sends packets with the cluster's key to a responder (podnet_exporter respond,
        or the agent), which answers nothing else.
  pmtu  finds the largest packet that passes, and tells a black hole (larger ones vanish,
        connections hang) from a smaller MTU that a router tells of. One search; count,
        interval and ttl do not matter.
  transfer  sends a responder several segments over TCP and gets them back.
  They are the probes that the agent sends. Times are the kernel's: for icmp and udp from
  the packet's leaving to the reply's arriving, for tcp from SYN to SYN-ACK. A probe
  has one outcome; a reply after the timeout is a late reply and the probe failed.

Text: a line per result, and a summary
  1 reply from 10.244.2.2: rtt 0.21 ms
  1 connected to 10.244.2.2 port 80: rtt 0.21 ms
  1 refused: 10.244.2.2 answered that nothing listens on port 80
  1 admin_prohibited: 172.20.1.1 says a firewall forbids it (ICMP type 3 code 13)
  The number counts the probes. The word before the colon is the reason, as in the
  label reason of podnet_probe_failure_reasons_total.

  Of udp the summary also says which way packets were lost, doubled or overtaken by
  later ones, and the jitter: the mean deviation of the time that they take.
    lost: 2 requests, 1 replies
    jitter of round trips 0.020 ms, requests 0.010 ms, replies 0.015 ms

  1 1500 bytes: timeout: nothing came back from 10.244.2.2 within 1s
  The lines of pmtu are one per packet, and then what was found.

JSON (--output=json): an object per line. Without a value a key is left out, but
for counts and success.
  Of each result
    type         "probe"
    seq          number of the probe, from 1
    time         when it was sent; of event late and duplicate, when it was seen
    event        "done" once per probe; "late" and "duplicate" for further replies
    success      whether the probe succeeded; false for late and duplicate
    reason       why it failed
    rtt_seconds  round-trip time, of replies
    retransmits  SYNs that were sent again: each is a lost packet
    icmp         the ICMP error that ended it: from, type, code, mtu (bytes, of the
                 next link, if the packet was too large)
    text         the line as text
  At the end
    type         "summary"
    kind, target, address, port
    sent, succeeded, failed, late, duplicates, retransmits: counts
    reasons      failed probes by reason
    rtt_seconds  of those that succeeded: min, mean, max, stddev
  Of udp, lines have doubled and reordered: forward (the request), reverse (the
  reply) or both; and the summary has in udp
    lost, doubled, reordered: counts of forward, reverse, unknown
    jitter_seconds: rtt, forward, reverse; from two replies on (RFC 3550)
  Of pmtu, each line has size (bytes), and the summary has
    state        full, smaller (a router says so), black_hole, unknown
    mtu          the largest packet that passed, in bytes; 0 if none did
    upper        the largest that was tried
    icmp         the last packet-too-big that was heard
    reason       why it is unknown

Exit codes
  0  every probe succeeded; pmtu: the path MTU is known and no black hole
  1  some failed, or none had ended when it was interrupted, or none could be sent
  2  the command line is wrong
  3  the target could not be resolved
  4  a capability is missing: icmp and pmtu need CAP_NET_RAW, --netns and --pod need
     CAP_SYS_ADMIN, and CAP_SYS_PTRACE for a path in /proc

Examples
  podnet_exporter probe icmp 10.244.2.2
  podnet_exporter probe tcp -c 1 -o json 10.244.2.2:80
  podnet_exporter probe udp --key-file /etc/podnet/key 10.244.2.2
  podnet_exporter probe pmtu 10.244.2.2
  podnet_exporter probe icmp -6 -s 1400 --netns /proc/4711/ns/net node2
  podnet_exporter probe tcp --pod shop/web-1 10.96.0.1:443
`
