package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/alecthomas/kingpin/v2"
)

// impairCommandName is the command that is an impairment device. It is run by
// the lab and hidden from its help.
const impairCommandName = "impair"

// defaultLimit is how many packets a device holds at most: with 1500 bytes
// each 6 MB.
const defaultLimit = 4096

// impairDevice is where an impairment is.
type impairDevice struct {
	impairment
	netns     string // complete name
	device    string
	direction string         // as seen from the machine that has the device
	addresses []netip.Prefix // at the far end of the link; none: all
	table     string         // of nftables
	limit     uint32         // packets that are held at most, in each direction
}

// impairCommand adds the command that impairs the packets of a link until it
// is ended.
func impairCommand(app *kingpin.Application, l *Lab, commands map[string]func(context.Context) error) {
	cmd := app.Command(impairCommandName, "Impair what passes a device, until ended.").Hidden()
	d := &impairDevice{}
	finish := d.flags(cmd)
	commands[cmd.FullCommand()] = func(ctx context.Context) error {
		if err := finish(); err != nil {
			return err
		}
		fmt.Fprintf(l.Out, "%s %s of %s: %+v\n", d.direction, d.device, d.netns, d.impairment)
		return d.run(ctx)
	}
}

// flags adds the flags of the device to a command. The function that it
// returns completes the device after they were parsed.
func (d *impairDevice) flags(cmd *kingpin.CmdClause) func() error {
	cmd.Flag("netns", "Network namespace of the device.").Required().StringVar(&d.netns)
	cmd.Flag("device", "Device that packets are routed to or from, or a bridge.").Required().StringVar(&d.device)
	cmd.Flag("direction", "Packets that leave by the device, that come in by it, or both.").
		Default(directionOut).EnumVar(&d.direction, directionOut, directionIn, directionBoth)
	addresses := cmd.Flag("address", "Only packets to (leaving) or from (coming in) this prefix; can be repeated.").Strings()
	cmd.Flag("table", "Name of the nftables tables that send packets here.").Default("podnet-impair").StringVar(&d.table)
	cmd.Flag("delay", "Time that each packet is held.").Default("0s").DurationVar(&d.Delay)
	cmd.Flag("jitter", "Time that it is held longer or shorter at most.").Default("0s").DurationVar(&d.Jitter)
	cmd.Flag("loss", "Part of the packets that is dropped, in percent.").Default("0").Float64Var(&d.Loss)
	cmd.Flag("duplicate", "Part of the packets that is sent twice, in percent; only for --direction=out.").Default("0").Float64Var(&d.Duplicate)
	cmd.Flag("reorder", "Part of the packets that others overtake, in percent.").Default("0").Float64Var(&d.Reorder)
	cmd.Flag("hold", "Time for which they can be overtaken.").Default("20ms").DurationVar(&d.Hold)
	cmd.Flag("limit", "Packets that are held at most; more pass at once.").Default(strconv.Itoa(defaultLimit)).Uint32Var(&d.limit)
	return func() error {
		for _, a := range *addresses {
			p, err := netip.ParsePrefix(a)
			if err != nil {
				return fmt.Errorf("--address: %w", err)
			}
			d.addresses = append(d.addresses, p)
		}
		return nil
	}
}

// args returns the flags that make the command this device.
func (d impairDevice) args() []string {
	args := []string{
		"--netns=" + d.netns, "--device=" + d.device, "--direction=" + d.direction, "--table=" + d.table,
		"--delay=" + d.Delay.String(), "--jitter=" + d.Jitter.String(), "--hold=" + d.Hold.String(),
		fmt.Sprintf("--loss=%g", d.Loss), fmt.Sprintf("--duplicate=%g", d.Duplicate), fmt.Sprintf("--reorder=%g", d.Reorder),
		fmt.Sprintf("--limit=%d", d.limit),
	}
	for _, a := range d.addresses {
		args = append(args, "--address="+a.String())
	}
	return args
}

func (d impairDevice) check() error {
	if err := d.impairment.check(); err != nil {
		return err
	}
	if d.Duplicate > 0 && d.direction != directionOut {
		return errors.New("duplicate: a copy can only be sent, not received: impair the other end of the link, with --direction=out")
	}
	return nil
}

// run impairs until ctx ends, and then lets all packets go. Should it die, its
// rules let packets pass to nobody, and on (bypass); what it held is lost.
func (d impairDevice) run(ctx context.Context) error {
	if err := d.check(); err != nil {
		return err
	}
	if err := preferred(); err != nil {
		return err
	}
	h, err := newHolder()
	if err != nil {
		return err
	}
	failed := make(chan error, 4)
	queues, rules, err := d.open(h, failed)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- h.run() }()
	if err = placeQueueRules(d.netns, d.table, rules); err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		case err = <-ended:
			return err
		}
		err = errors.Join(err, replaceTables(d.netns, d.table, nil))
	}
	h.end()
	err = errors.Join(err, <-ended)
	for _, q := range queues {
		err = errors.Join(err, q.close())
	}
	return err
}

// open opens a queue per direction, and returns the rules that lead to them.
func (d impairDevice) open(h *holder, failed chan<- error) ([]*queue, []queueRule, error) {
	if err := checkDevice(d.netns, d.device); err != nil {
		return nil, nil, err
	}
	var queues []*queue
	var rules []queueRule
	for _, out := range []bool{false, true} {
		if out && d.direction == directionIn || !out && d.direction == directionOut {
			continue
		}
		q := &queue{link: newLink(d.impairment), holder: h, failed: failed}
		if err := q.open(d.netns, d.limit); err != nil {
			return nil, nil, err
		}
		queues = append(queues, q)
		order := uint8(queues[0].number) // at most maxQueue
		if d.Duplicate > 0 {
			var err error
			if q.copier, err = newCopier(d.netns, d.device, order); err != nil {
				return nil, nil, err
			}
		}
		rules = append(rules, queueRule{d.device, out, q.number, order, d.addresses})
	}
	return queues, rules, nil
}
