package recording

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/geotop/geotop/model"
)

// Tape is a recording that is stepped through. It may be used by several goroutines.
type Tape struct {
	times  []time.Time
	frames []frame

	mu     sync.Mutex
	file   *os.File
	loaded int // the frame whose documents are at hand, -1 for none
	docs   [][]byte
}

// frame is one part of the file that can be read by itself.
type frame struct {
	at, size int64
	first    int // moment
}

// mostDoc bounds what one moment may unpack to: a file that is not ours may hold anything.
const mostDoc = 128 << 20

// Open reads which moments there are. A recording that was cut off, or is still being
// written, ends with its last whole moment; a file with none is an error.
func Open(name string) (*Tape, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	t := &Tape{file: file, loaded: -1}
	if err := t.index(info.Size()); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	return t, nil
}

// index finds the frames and the moment of each document.
func (t *Tape) index(size int64) error {
	for at := int64(0); at < size; {
		length, whole := frameSize(io.NewSectionReader(t.file, at, size-at))
		if length == 0 {
			if at == 0 {
				return errors.New("it is no recording of geotop's")
			}
			break
		}
		f := frame{at, length, len(t.times)}
		err := t.each(f, func(doc []byte) error {
			at, err := moment(doc)
			if err == nil {
				t.times = append(t.times, at)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("moment %d: %w", len(t.times)+1, err)
		}
		if len(t.times) > f.first {
			t.frames = append(t.frames, f)
		}
		if !whole {
			break
		}
		at += length
	}
	if len(t.times) == 0 {
		return errors.New("there is no moment in it")
	}
	return nil
}

// frameSize walks a Zstandard frame block by block (RFC 8878, section 3.1.1) without
// unpacking it: how many bytes it has, and whether its end is there. 0 is no frame.
func frameSize(r *io.SectionReader) (size int64, whole bool) {
	head := make([]byte, zstd.HeaderMaxSize)
	n, _ := r.ReadAt(head, 0)
	var h zstd.Header
	if h.Decode(head[:n]) != nil || h.Skippable {
		return 0, false
	}
	at := int64(h.HeaderSize)
	for block := make([]byte, 4); ; {
		if _, err := r.ReadAt(block[:3], at); err != nil {
			return r.Size(), false
		}
		b := binary.LittleEndian.Uint32(block)
		length := int64(b >> 3)
		if b>>1&3 == 1 { // one byte, repeated
			length = 1
		}
		if at += 3 + length; at > r.Size() {
			return r.Size(), false
		}
		if b&1 == 1 {
			break
		}
	}
	if h.HasCheckSum {
		at += 4
	}
	return min(at, r.Size()), at <= r.Size()
}

// each gives the frame's whole documents, one after the other.
func (t *Tape) each(f frame, do func(doc []byte) error) error {
	dec, err := zstd.NewReader(io.NewSectionReader(t.file, f.at, f.size), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer dec.Close()
	lines := bufio.NewReaderSize(dec, 1<<16)
	for {
		doc, err := line(lines)
		if err != nil { // cut off: what was whole before it counts
			if errors.Is(err, errTooLong) {
				return err
			}
			return nil
		}
		if err := do(doc); err != nil {
			return err
		}
	}
}

var errTooLong = errors.New("it is longer than any document of geotop's")

// line reads one whole line of at most mostDoc bytes.
func line(r *bufio.Reader) ([]byte, error) {
	var doc []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(doc)+len(part) > mostDoc {
			return nil, errTooLong
		}
		doc = append(doc, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return doc, err
		}
	}
}

// moment reads when a document was made: one of its first fields.
func moment(doc []byte) (time.Time, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return time.Time{}, errors.New("it is no JSON object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return time.Time{}, err
		}
		if key == "generatedAt" {
			var at time.Time
			err := dec.Decode(&at)
			return at, err
		}
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, errors.New("it does not say when it was")
}

// Times are the moments there are, in the order they were taken; never none.
func (t *Tape) Times() []time.Time { return t.times }

// Facts gives the facts of the i-th moment, and when that was.
func (t *Tape) Facts(i int) (model.Facts, time.Time, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i < 0 || i >= len(t.times) {
		return model.Facts{}, time.Time{}, fmt.Errorf("there is no moment %d", i+1)
	}
	in := 0
	for in+1 < len(t.frames) && t.frames[in+1].first <= i {
		in++
	}
	if t.loaded != in {
		t.loaded, t.docs = -1, nil
		if err := t.each(t.frames[in], func(doc []byte) error { t.docs = append(t.docs, doc); return nil }); err != nil {
			return model.Facts{}, time.Time{}, err
		}
		t.loaded = in
	}
	at := i - t.frames[in].first
	if at >= len(t.docs) {
		return model.Facts{}, time.Time{}, fmt.Errorf("moment %d is gone from the file", i+1)
	}
	return model.Read(bytes.NewReader(t.docs[at]))
}

// Close lets go of the file.
func (t *Tape) Close() error { return t.file.Close() }
