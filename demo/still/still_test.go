package still

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"
)

// A still is the same every time it is taken, however the collectors' answers
// fall in.
func TestStillsAreStill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var first []byte
	for i := range 40 {
		w, err := Of(ctx, "weak", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := json.MarshalIndent(w, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = doc
		}
		if !bytes.Equal(first, doc) {
			a, b := bytes.Split(first, []byte("\n")), bytes.Split(doc, []byte("\n"))
			for n := range min(len(a), len(b)) {
				if !bytes.Equal(a[n], b[n]) {
					t.Fatalf("still %d differs from line %d on:\n%s\n%s", i, n, bytes.Join(a[n:min(n+6, len(a))], []byte("\n")), bytes.Join(b[n:min(n+6, len(b))], []byte("\n")))
				}
			}
			t.Fatalf("still %d is of another length", i)
		}
	}
}
