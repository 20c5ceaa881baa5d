package objectstore

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/pierrec/lz4/v4"
)

func TestKeysAreWhereLonghornPutsThem(t *testing.T) {
	// A test vector of Longhorn's own layout.
	if got := volumeFolder("pvc-0f1e2d3c-1111-2222-3333-444455556666"); got != "backupstore/volumes/de/7c/pvc-0f1e2d3c-1111-2222-3333-444455556666/" {
		t.Error(got)
	}
}

func TestTargets(t *testing.T) {
	secret := map[string][]byte{"AWS_ACCESS_KEY_ID": []byte("id"), "AWS_SECRET_ACCESS_KEY": []byte("key\n"), "AWS_ENDPOINTS": []byte("http://store.example:9000/")}
	for target, want := range map[string]string{
		"s3://backups@us-east-1/":          "store.example:9000 backups ",
		"s3://backups@eu/some/where":       "store.example:9000 backups some/where/",
		"s3://backups/":                    "store.example:9000 backups ",
		"nfs://server/share":               "not an S3 target",
		"s3://backups@us-east-1/\x1b]0;x/": "not an S3 target",
		"":                                 "not an S3 target",
	} {
		var got string
		b, err := openBucket(target, secret, "", nil)
		if err != nil {
			got = err.Error()
		} else {
			got = b.endpoint + " " + b.name + " " + b.prefix
		}
		if !strings.HasPrefix(got, want) || strings.Contains(got, "\x1b") {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
	if b, err := openBucket("s3://b@r/", secret, "https://elsewhere.example", nil); err != nil || b.base != "https://elsewhere.example" {
		t.Errorf("%+v, %v", b, err)
	}
}

func FuzzHead(f *testing.F) {
	whole := `{"Name":"b","VolumeName":"v","Labels":{"KubernetesStatus":"{}"},"CreatedTime":"2026-03-01T00:00:00Z","Size":"1","Blocks":[{"Offset":0,"BlockChec`
	f.Add([]byte(whole))
	f.Add([]byte(`{"Name":"b"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseHead(b) })
	if h, err := parseHead([]byte(whole)); err != nil || h.Name != "b" || h.CreatedTime == "" {
		f.Errorf("%+v, %v", h, err)
	}
	for _, cut := range []string{`{"Name":"b","VolumeName":"v`, `{"Name":"b"`, "", "{}x", `{"Name":7}`} {
		if h, err := parseHead([]byte(cut)); err == nil && cut != "{}x" {
			f.Errorf("%q was read as whole: %+v", cut, h)
		}
	}
}

func TestDigest(t *testing.T) {
	plain := bytes.Repeat([]byte("geotop"), 50_000)
	sum := sha512.Sum512(plain)
	want := hex.EncodeToString(sum[:])[:64]
	var l4, gz bytes.Buffer
	lw := lz4.NewWriter(&l4)
	gw := gzip.NewWriter(&gz)
	for _, w := range []io.WriteCloser{lw, gw} {
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for method, packed := range map[string][]byte{"none": plain, "lz4": l4.Bytes(), "gzip": gz.Bytes(), "": gz.Bytes()} {
		if got, err := digest(packed, method); err != nil || got != want {
			t.Errorf("%q: %s, %v", method, got, err)
		}
		if got, err := digest(packed[:len(packed)-9], method); err == nil && got == want {
			t.Errorf("%q cut off is taken for whole", method)
		}
	}
	if _, err := digest(plain, "zstd\x1b"); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%v", err)
	}
}
