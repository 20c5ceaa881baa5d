package kube

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// The API's protobuf is read field by field where that saves work: a list of
// 20,000 pods is walked without building 20,000 core/v1 Pods. Field numbers are
// those of the k8s.io/api .proto files, which are part of the API's contract.

// protobufMagic begins every protobuf answer of a Kubernetes API.
var protobufMagic = []byte("k8s\x00")

// maxFrame bounds one watch event; etcd refuses objects over 1.5 MiB by
// default, a cluster may raise that.
const maxFrame = 32 << 20

// eachField calls visit with every field of the message. Bytes hold the value
// of length-delimited fields, number the value of varints; both alias msg.
func eachField(msg []byte, visit func(field protowire.Number, val []byte, number uint64) error) error {
	for len(msg) > 0 {
		field, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return protowire.ParseError(n)
		}
		msg = msg[n:]
		var val []byte
		var number uint64
		switch typ {
		case protowire.BytesType:
			val, n = protowire.ConsumeBytes(msg)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(msg)
		default:
			n = protowire.ConsumeFieldValue(field, typ, msg)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		msg = msg[n:]
		if err := visit(field, val, number); err != nil {
			return err
		}
	}
	return nil
}

// unwrap takes the message out of the envelope the API puts around it
// (runtime.Unknown: typeMeta=1, raw=2).
func unwrap(body []byte) ([]byte, error) {
	msg, ok := bytes.CutPrefix(body, protobufMagic)
	if !ok {
		return nil, errors.New("the answer is not Kubernetes protobuf")
	}
	var raw []byte
	err := eachField(msg, func(f protowire.Number, val []byte, _ uint64) error {
		if f == 2 {
			raw = val
		}
		return nil
	})
	return raw, err
}

// readList walks a list's items and gives its resourceVersion and continue
// token (list: metadata=1 {resourceVersion=2, continue=3}, items=2).
func readList(body []byte, item func([]byte) error) (rv, next string, err error) {
	raw, err := unwrap(body)
	if err != nil {
		return "", "", err
	}
	err = eachField(raw, func(f protowire.Number, val []byte, _ uint64) error {
		switch f {
		case 1:
			return eachField(val, func(f protowire.Number, val []byte, _ uint64) error {
				switch f {
				case 2:
					rv = string(val)
				case 3:
					next = string(val)
				}
				return nil
			})
		case 2:
			return item(val)
		}
		return nil
	})
	return rv, next, err
}

// watchEvent is one frame of a watch.
type watchEvent struct {
	kind   string // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
	object []byte // the message; aliases the reader's buffer until the next read
	json   bool   // object is JSON
}

// frames reads the events of a protobuf watch: each a big-endian length and
// WatchEvent{type=1, object=2{raw=1}}. Only the object inside has an envelope.
type frames struct {
	r   io.Reader
	buf []byte
}

func (f *frames) next() (watchEvent, error) {
	var head [4]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return watchEvent{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return watchEvent{}, fmt.Errorf("a watch event of %d bytes is too large", size)
	}
	if cap(f.buf) < int(size) {
		f.buf = make([]byte, size)
	}
	body := f.buf[:size]
	if _, err := io.ReadFull(f.r, body); err != nil {
		return watchEvent{}, err
	}
	var ev watchEvent
	var object []byte
	err := eachField(body, func(n protowire.Number, val []byte, _ uint64) error {
		switch n {
		case 1:
			ev.kind = string(val)
		case 2:
			return eachField(val, func(n protowire.Number, val []byte, _ uint64) error {
				if n == 1 {
					object = val
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return watchEvent{}, err
	}
	ev.object, err = unwrap(object)
	return ev, err
}
