package process

import (
	"bytes"
	"io"
	"os"
)

// LogTail returns the last lines of a log, indented, or why it cannot be read.
func LogTail(path string) string {
	const lines, size = 15, 8192
	f, err := os.Open(path)
	if err != nil {
		return "  " + err.Error()
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > size {
		f.Seek(-size, io.SeekEnd) //nolint:errcheck // then it is read from its beginning
	}
	text, err := io.ReadAll(io.LimitReader(f, size))
	if err != nil {
		return "  " + err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return "  " + string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n  ")))
}
