package probers

import "time"

// OneWay is the difference of two clocks over one way, for each direction: the
// time that the packet took, plus or minus how far the clocks of the two nodes
// are apart. Only changes of it mean something. The zero value is unknown.
type OneWay struct {
	Forward time.Duration // responder's receive time minus our send time
	Reverse time.Duration // our receive time minus responder's send time
}
