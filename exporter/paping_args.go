package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// papingOptions is what a command line of paping asks for.
type papingOptions struct {
	Destination string
	Port        int           // 1 to 65535; to 2147483647 when strict, of which the low 16 bits are used
	Count       int           // attempts; 0 or less means until interrupted
	Timeout     time.Duration // of one attempt
	Colorless   bool

	// What paping does not have.
	Strict bool   // --strict-compat
	Help   bool   // --help; nothing else is checked then
	Netns  string // path of a network namespace, "" is the caller's
	Pod    string // or the pod that has it, NAMESPACE/NAME
	Family int    // 4 or 6, 0 is either
}

// parsePaping parses a command line as paping does: an option's value is the
// next argument, whatever it looks like; options and destination come in any
// order; what is no option is the destination, of which there can be one. The
// last one of a repeated option counts.
func parsePaping(args []string) (papingOptions, error) {
	o := papingOptions{Timeout: time.Second, Strict: slices.Contains(args, "--strict-compat")}
	var destinations []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		set := o.valueOption(arg)
		switch {
		case set != nil && i+1 == len(args):
			return o, fmt.Errorf("%s needs a value", arg)
		case set != nil:
			i++
			set(args[i])
		case !o.flag(arg):
			destinations = append(destinations, arg)
		}
	}
	if o.Help {
		return o, nil
	}
	return o, o.check(destinations)
}

// valueOption returns what takes the value of an option, nil if arg is no
// option that has one.
func (o *papingOptions) valueOption(arg string) func(value string) {
	switch arg {
	case "-p", "--port":
		return func(value string) { o.Port = atoi(value) }
	case "-c", "--count":
		return func(value string) { o.Count = atoi(value) }
	case "-t", "--timeout":
		return func(value string) { o.Timeout = time.Duration(atoi(value)) * time.Millisecond }
	case "--netns":
		return func(value string) { o.Netns = value }
	case "--pod":
		return func(value string) { o.Pod = value }
	}
	return nil
}

// flag takes an option that has no value. It is false if arg is none.
func (o *papingOptions) flag(arg string) bool {
	switch {
	case arg == "--nocolor":
		o.Colorless = true
	case arg == "--strict-compat":
	case o.Strict:
		return false // paping takes the following for destinations
	case arg == "--help":
		o.Help = true
	case arg == "-4":
		o.Family = 4
	case arg == "-6":
		o.Family = 6
	default:
		return false
	}
	return true
}

// check says what is wrong with the whole.
func (o *papingOptions) check(destinations []string) error {
	switch {
	case len(destinations) == 0:
		return errors.New("no destination")
	case len(destinations) > 1:
		return fmt.Errorf("more than one destination: %s", strings.Join(destinations, " "))
	case o.Port <= 0:
		return fmt.Errorf("no port: give -p N, 1 to 65535 (and the destination is %q)", destinations[0])
	case o.Port > math.MaxUint16 && !o.Strict:
		return fmt.Errorf("port %d: the highest is 65535", o.Port)
	case o.Timeout <= 0:
		return errors.New("the timeout is not a number of milliseconds above 0")
	}
	o.Destination = destinations[0]
	return checkNamespace(o.Netns, o.Pod)
}

// atoi converts a number as atoi(3) of glibc does: white space, a sign, and
// digits up to the first other character; 0 if there are none. Numbers of more
// than 64 bits are the nearest that has 64, of which the low 32 count.
func atoi(s string) int {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	sign := int64(1)
	if rest, found := strings.CutPrefix(s, "-"); found {
		s, sign = rest, -1
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			break
		}
		digit := sign * int64(c-'0')
		switch {
		case sign > 0 && n > (math.MaxInt64-digit)/10:
			return -1 // the low 32 bits of the highest number
		case sign < 0 && n < (math.MinInt64-digit)/10:
			return 0 // and of the lowest
		}
		n = n*10 + digit
	}
	return int(int32(n))
}
