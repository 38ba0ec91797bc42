package process

import "fmt"

// List is what a lab runs. No two have the same name.
type List []Process

// Find returns the process of a name. The error wraps ErrNotRunning when it
// was never started or has ended.
func (l List) Find(name string) (Process, error) {
	for _, p := range l {
		if p.Name == name && p.Running() {
			return p, nil
		}
	}
	return Process{}, fmt.Errorf("%s: %w", name, ErrNotRunning)
}

// Set replaces the process of the same name, or adds it.
func (l *List) Set(p Process) {
	l.Drop(p.Name)
	*l = append(*l, p)
}

// Drop removes the process of a name, if there is one.
func (l *List) Drop(name string) {
	kept := (*l)[:0]
	for _, p := range *l {
		if p.Name != name {
			kept = append(kept, p)
		}
	}
	*l = kept
}
