package probers

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestResponderAnswersTransfers(t *testing.T) {
	r := responding(t, ResponderOptions{})
	base := "http://" + r.at("127.0.0.1")
	large := bytes.Repeat([]byte("x"), MaxTransfer)
	tests := []struct {
		name, method, path string
		body               []byte
		status, length     int
	}{
		{"as many bytes as were asked for", "GET", "/bytes?n=4096", nil, 200, 4096},
		{"no bytes", "GET", "/bytes?n=0", nil, 200, 0},
		{"as many as there may be", "GET", fmt.Sprintf("/bytes?n=%d", MaxTransfer), nil, 200, MaxTransfer},
		{"too many", "GET", fmt.Sprintf("/bytes?n=%d", MaxTransfer+1), nil, 400, -1},
		{"not a number", "GET", "/bytes?n=-1", nil, 400, -1},
		{"no number", "GET", "/bytes", nil, 400, -1},
		{"bytes are not taken", "POST", "/bytes?n=10", nil, 405, -1},
		{"what was sent", "POST", TransferPath, large, 200, MaxTransfer},
		{"nothing was sent", "POST", TransferPath, nil, 200, 0},
		{"too much was sent", "POST", TransferPath, append(large, 'x'), 413, -1},
		{"an echo of nothing", "GET", TransferPath, nil, 405, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), tt.method, base+tt.path, bytes.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tt.status || tt.length >= 0 && len(got) != tt.length {
				t.Errorf("got %s and %d bytes; want %d and %d", response.Status, len(got), tt.status, tt.length)
			}
			if tt.body != nil && tt.status == 200 && !bytes.Equal(got, tt.body) {
				t.Error("the answer is not what was sent")
			}
		})
	}
}

func TestResponderLimitsTransfers(t *testing.T) {
	r := responding(t, ResponderOptions{})
	limited := 0
	for range transferBurst + 50 {
		response, err := http.Post("http://"+r.at("127.0.0.1")+TransferPath, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Errorf("none of %d transfers at once were refused", transferBurst+50)
	}
	response, err := http.Get("http://" + r.at("127.0.0.1") + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the identity is not told any more: %s", response.Status)
	}
}
