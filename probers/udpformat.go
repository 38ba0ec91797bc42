package probers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/fnv"
)

// UDPType says which way a packet of the UDP probe goes. A responder answers
// requests only, so two responders cannot keep each other busy.
type UDPType uint8

// The types.
const (
	UDPRequest UDPType = iota + 1
	UDPReply
)

// UDPState is what a responder announces of its node: whether it will soon be
// down on purpose. Nobody else knows in time.
type UDPState uint8

// The states.
const (
	UDPUsual    UDPState = iota // or not known, or not said
	UDPCordoned                 // no new pods are placed on the node
	UDPDraining                 // the node is being emptied, or about to be deleted
)

// UDPHeaderSize is the size of a UDP probe's payload in bytes, without the
// padding that may follow: the shortest packet there is.
const UDPHeaderSize = 80

// The layout of the header; numbers are big endian.
//
//	 0  magic "PNET"
//	 4  version, 1
//	 5  type
//	 6  state of the responder's node
//	 7  zero
//	 8  flow
//	16  sequence
//	24  sent: sender's clock, ns since 1970
//	32  received: requests of this flow that reached the responder
//	40  received at: responder's clock, ns since 1970
//	48  replied at: responder's clock, ns since 1970
//	56  identity of the responder
//	64  HMAC-SHA256 of all bytes but these, padding included, cut to 16 bytes
const (
	udpMagic   = "PNET"
	udpVersion = 1
	udpMACAt   = 64
	udpMACSize = UDPHeaderSize - udpMACAt
)

// UDPPacket is what a packet of the UDP probe says. A request leaves the
// fields of the responder zero: they are room for the reply, which is as long
// as the request.
type UDPPacket struct {
	Type     UDPType
	Flow     uint64 // chosen at random by the sender, one for each of its source ports and targets
	Sequence uint64 // from 1, of the flow
	Sent     int64  // ns since 1970 by the sender's clock; only the sender reads it

	Received   uint64 // requests of this flow that the responder got, this one included; starts again at 1 when it restarts
	ReceivedAt int64  // ns since 1970 by the responder's clock, stamped by its kernel
	RepliedAt  int64  // ns since 1970 by the responder's clock
	Identity   uint64 // of the responder, see [UDPIdentity]
	State      UDPState
}

// Errors of [UDPCodec.Parse].
var (
	ErrUDPMalformed = errors.New("udp: not a probe packet")
	ErrUDPKey       = errors.New("udp: packet was made with another key")
)

// UDPIdentity returns the number by which a responder says who it is: of a
// node's agent without namespace and pod, of an endpoint with them.
func UDPIdentity(node, namespace, pod string) uint64 {
	h := fnv.New64a()
	for _, s := range []string{node, namespace, pod} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// UDPCodec writes and reads packets with one key. It is for one goroutine at a
// time.
//
// The key keeps strangers from using a responder as a reflector, and noise
// from being taken for answers. It does not keep out somebody who can see
// packets of the cluster: those can be sent again.
type UDPCodec struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

// NewUDPCodec returns a codec for the cluster's key.
func NewUDPCodec(key []byte) *UDPCodec {
	return &UDPCodec{mac: hmac.New(sha256.New, key)}
}

// Marshal writes p to the first [UDPHeaderSize] bytes of b and leaves the
// padding behind them as it is. It panics if b is shorter.
func (c *UDPCodec) Marshal(b []byte, p UDPPacket) {
	_ = b[UDPHeaderSize-1]
	copy(b, udpMagic)
	b[4], b[5], b[6], b[7] = udpVersion, byte(p.Type), byte(p.State), 0
	binary.BigEndian.PutUint64(b[8:], p.Flow)
	binary.BigEndian.PutUint64(b[16:], p.Sequence)
	binary.BigEndian.PutUint64(b[24:], uint64(p.Sent))
	binary.BigEndian.PutUint64(b[32:], p.Received)
	binary.BigEndian.PutUint64(b[40:], uint64(p.ReceivedAt))
	binary.BigEndian.PutUint64(b[48:], uint64(p.RepliedAt))
	binary.BigEndian.PutUint64(b[56:], p.Identity)
	copy(b[udpMACAt:UDPHeaderSize], c.sign(b))
}

// Parse reads a packet. The error is [ErrUDPMalformed] or [ErrUDPKey].
func (c *UDPCodec) Parse(b []byte) (UDPPacket, error) {
	if len(b) < UDPHeaderSize || string(b[:4]) != udpMagic || b[4] != udpVersion || b[7] != 0 {
		return UDPPacket{}, ErrUDPMalformed
	}
	p := UDPPacket{
		Type:       UDPType(b[5]),
		Flow:       binary.BigEndian.Uint64(b[8:]),
		Sequence:   binary.BigEndian.Uint64(b[16:]),
		Sent:       int64(binary.BigEndian.Uint64(b[24:])),
		Received:   binary.BigEndian.Uint64(b[32:]),
		ReceivedAt: int64(binary.BigEndian.Uint64(b[40:])),
		RepliedAt:  int64(binary.BigEndian.Uint64(b[48:])),
		Identity:   binary.BigEndian.Uint64(b[56:]),
		State:      UDPState(b[6]),
	}
	if p.Type != UDPRequest && p.Type != UDPReply || p.State > UDPDraining || p.Type == UDPRequest && p.State != UDPUsual {
		return UDPPacket{}, ErrUDPMalformed
	}
	if !hmac.Equal(b[udpMACAt:UDPHeaderSize], c.sign(b)) {
		return UDPPacket{}, ErrUDPKey
	}
	return p, nil
}

// sign returns the MAC of a packet, valid until the next call.
func (c *UDPCodec) sign(b []byte) []byte {
	c.mac.Reset()
	c.mac.Write(b[:udpMACAt])
	c.mac.Write(b[UDPHeaderSize:])
	return c.mac.Sum(c.sum[:0])[:udpMACSize]
}
