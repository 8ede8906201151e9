"""wire: bytes <-> fields. One protocol per file; no state, imports nothing above it.

This docstring is the one place that explains the flow, the record and the result codes.

Words. All header facts live in the 32-bit words of an `array('i')`. Viper reads and writes the
words that need all 32 bits (addresses, sequence numbers, timestamps); on a board those would be
heap objects to Python, which touches only the words that are small numbers. On 32 bits such a
word loads signed, on 64 unsigned: code that compares them must do so by subtraction and bit 31.

Flow: the first 14 words, always seen from OUR side. For a packet that came in, LOCAL is its
destination and REMOTE its source; so a reply needs no swapping, the first 12 words are the key
that finds the socket, and a datagram's metadata is its flow.

     0 _FAMILY   4 or 6; 0 any                  1 _PROTO   IP protocol
     2 _LPORT    local port                     3 _RPORT   remote port
     4 _LOCAL    4 words                        8 _REMOTE  4 words
    12 _HOPS     TTL or hop limit              13 _TOS     DSCP and ECN byte

An address is big-endian words: 192.168.69.1 is 0xc0a84501 in the first, 0 in the other three.

Record: 56 words, a flow and what the parsers found. An offset counts from the start of the
frame's buffer. A word is valid only when the parser that sets it has returned _OK.

    ethernet    14 _ETHERTYPE                  15 _CAST     to 0 us, 1 broadcast, 2 multicast
                16 _LINK  Ethernet header      17 _NET      IP header or ARP packet
    ipv4        18 _DATA  IP payload           19 _END      its end, padding cut
                20 _FRAGMENT  0 whole, else 1 | more << 1 | offset in bytes << 2
                21 _IDENT identification
    interface   22 _SCOPE destination is 0 ours, 1 broadcast, 2 multicast, 3 not ours
    transport   23 _PAYLOAD  its data          24 _LENGTH   bytes of them
    tcp         25 _SEQ                        26 _ACK
                27 _CONTROL  flag bits         28 _WINDOW   as in the header, not scaled
                29 _OPTIONS  seen: 1 MSS, 2 scale, 4 SACK permitted, 8 SACK, 16 timestamps,
                    32 user timeout
                30 _MSS                        31 _SCALE    0..14
                32 _TSVAL                      33 _TSECR
                34 _SACKS    number of blocks  35 _SACK     (left, right) x 4
                53 _USER_TIMEOUT  16 bits, as in the option
    icmpv4      43 _TYPE                       44 _CODE
                45 _ICMP_ID                    46 _ICMP_SEQ the two halves behind the checksum
    arp         47 _OPERATION  1 request, 2 reply; sender _REMOTE, target _LOCAL

Parsers are `parse(frame, off, end, rec, ...) -> int` on frame[off:end]. The caller proves
0 <= off <= end <= len(frame); whatever the bytes are, nothing outside is touched, nothing is
raised or allocated, and the result is one of

     0 _OK               -1 _TRUNCATED   shorter than its headers say
    -2 _MALFORMED        -3 _BAD_CHECKSUM
    -4 _UNSUPPORTED      -5 _NOT_US      for another host, by the link header

`emit` writes a header in front of a payload that is already in place; the caller proves that
it fits. Any alignment is right, 4-aligned transport headers are fast.
"""
