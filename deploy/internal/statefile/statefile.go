// Package statefile keeps what a running lab wrote down, so that another run
// of its program knows it: one JSON file, changed by one process at a time.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// Read returns what the file holds. Without a file the error is
// fs.ErrNotExist.
func Read[T any](path string) (T, error) {
	var v T
	b, err := os.ReadFile(path)
	if err != nil {
		return v, fmt.Errorf("state: %w", err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("state %s: %w", path, err)
	}
	return v, nil
}

// Change reads the file, lets change alter what it holds, and writes it back
// whole; no other process changes it meanwhile. The lock is the file "lock"
// beside it. Without a file change gets what first holds.
func Change[T any](path string, first T, change func(*T)) error {
	lock, err := os.OpenFile(filepath.Join(filepath.Dir(path), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("state: lock: %w", err)
	}
	v, err := Read[T](path)
	if errors.Is(err, fs.ErrNotExist) {
		v, err = first, nil
	}
	if err != nil {
		return err
	}
	change(&v)
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return Write(path, b)
}

// Write replaces a file at once: a reader sees the old text or the new.
func Write(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// WriteYAML writes a file whole, as Write does, with what yaml makes of v.
func WriteYAML(path string, v any) error {
	b, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return Write(path, b)
}
