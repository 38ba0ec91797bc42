package web

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// compressed returns a handler whose answers are compressed for those who take
// gzip, by its fastest method: what promhttp does itself takes a third of a
// scrape's time, four times as long, for an answer that is a fifth shorter.
func compressed(h http.Handler) http.Handler {
	writers := sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails only for levels that there are not
		return w
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if !takesGzip(r.Header.Values("Accept-Encoding")) {
			h.ServeHTTP(w, r)
			return
		}
		z := writers.Get().(*gzip.Writer)
		defer writers.Put(z)
		z.Reset(w)
		defer func() { _ = z.Close() }() // the reader is gone, if it fails
		w.Header().Set("Content-Encoding", "gzip")
		h.ServeHTTP(&compressedWriter{w, z}, r)
	})
}

// compressedWriter compresses what is written.
type compressedWriter struct {
	http.ResponseWriter
	to *gzip.Writer
}

// Write implements [http.ResponseWriter].
func (w *compressedWriter) Write(b []byte) (int, error) { return w.to.Write(b) }

// WriteHeader implements [http.ResponseWriter]. The length of what is written is
// not that of the answer.
func (w *compressedWriter) WriteHeader(status int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(status)
}

// takesGzip reports whether the values of Accept-Encoding, as RFC 9110, 12.5.3
// defines it, allow gzip.
func takesGzip(values []string) bool {
	takes := false
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			var err error
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip":
			return weight > 0
		case "*":
			takes = weight > 0
		}
	}
	return takes
}
