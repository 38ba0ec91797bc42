package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnswersAreCompressedForThoseWhoTakeIt(t *testing.T) {
	text := strings.Repeat("podnet_series 1\n", 10000) // more than a block
	h := compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "160000")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, text)
	}))
	for _, tt := range []struct {
		accept []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"gzip"}, true},
		{[]string{"GZIP"}, true},
		{[]string{"zstd, gzip;q=0.5"}, true},
		{[]string{"br", "gzip"}, true},
		{[]string{"gzip;q=0"}, false},
		{[]string{"gzip; q=0.0, *"}, false},
		{[]string{"*"}, true},
		{[]string{"*;q=0"}, false},
		{[]string{"gzip;q=much"}, false},
		{[]string{"identity"}, false},
	} {
		for range 2 { // the second takes what the first has left
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.Header["Accept-Encoding"] = tt.accept
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			resp := w.Result()
			if got := resp.Header.Get("Content-Encoding") == "gzip"; got != tt.want {
				t.Fatalf("Accept-Encoding %q: compressed is %v; want %v", tt.accept, got, tt.want)
			}
			body := resp.Body.(io.Reader)
			if tt.want {
				if n := w.Body.Len(); n > len(text)/10 || resp.Header.Get("Content-Length") != "" {
					t.Errorf("%d bytes, said to be %q; want less than a tenth of %d, and nothing said", n, resp.Header.Get("Content-Length"), len(text))
				}
				var err error
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != text {
				t.Errorf("Accept-Encoding %q: %d bytes, %v; want the text", tt.accept, len(got), err)
			}
		}
	}
}
