package kube

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/geotop/geotop/model"
)

// objectMeta is the part of metav1.ObjectMeta that is read of every object.
type objectMeta struct {
	namespace, name, uid string
	resourceVersion      string
	created, deleteAt    time.Time
	owner                model.Owner
	labels               [][]byte // raw map entries, for interning
	initialEventsEnd     bool     // the bookmark that ends a streamed list
}

const initialEventsEnd = "k8s.io/initial-events-end"

// read walks metav1.ObjectMeta: name=1, namespace=3, uid=5, resourceVersion=6,
// creationTimestamp=8, deletionTimestamp=9, labels=11, annotations=12,
// ownerReferences=13. Managed fields (17), the bulk of it, are passed over.
func (m *objectMeta) read(raw []byte, names *interner) error {
	return eachField(raw, func(f protowire.Number, val []byte, _ uint64) (err error) {
		switch f {
		case 1:
			m.name = string(val)
		case 3:
			m.namespace = names.string(val)
		case 5:
			m.uid = string(val)
		case 6:
			m.resourceVersion = string(val)
		case 8:
			m.created, err = readTime(val)
		case 9:
			m.deleteAt, err = readTime(val)
		case 11:
			m.labels = append(m.labels, val)
		case 12:
			k, _, err := readEntry(val)
			m.initialEventsEnd = m.initialEventsEnd || string(k) == initialEventsEnd
			return err
		case 13:
			return m.readOwner(val, names)
		}
		return err
	})
}

// readOwner keeps the reference that is the controller: kind=1, name=3, uid=4,
// controller=6.
func (m *objectMeta) readOwner(raw []byte, names *interner) error {
	var o model.Owner
	controller := false
	err := eachField(raw, func(f protowire.Number, val []byte, number uint64) error {
		switch f {
		case 1:
			o.Kind = names.string(val)
		case 3:
			o.Name = names.string(val)
		case 4:
			o.UID = names.string(val)
		case 6:
			controller = number != 0
		}
		return nil
	})
	if controller {
		m.owner = o
	}
	return err
}

// readTime reads metav1.Time: seconds=1, nanos=2.
func readTime(raw []byte) (time.Time, error) {
	var sec, nsec int64
	err := eachField(raw, func(f protowire.Number, _ []byte, number uint64) error {
		switch f {
		case 1:
			sec = int64(number)
		case 2:
			nsec = int64(number)
		}
		return nil
	})
	if sec == 0 && nsec == 0 {
		return time.Time{}, err
	}
	return time.Unix(sec, nsec).UTC(), err
}

// readEntry reads one entry of a string map: key=1, value=2.
func readEntry(raw []byte) (k, v []byte, err error) {
	err = eachField(raw, func(f protowire.Number, val []byte, _ uint64) error {
		switch f {
		case 1:
			k = val
		case 2:
			v = val
		}
		return nil
	})
	return k, v, err
}

// interner stores equal strings, label sets and pod specs once. It belongs to
// one goroutine.
type interner struct {
	strings map[string]string
	labels  map[string]map[string]string
	specs   map[string]*model.PodSpec
	buf     []byte
}

func newInterner() *interner {
	return &interner{strings: map[string]string{}, labels: map[string]map[string]string{}, specs: map[string]*model.PodSpec{}}
}

// maxInterned bounds each store: names come and go in a living cluster. To
// forget them costs only that equals met later are stored once more.
const maxInterned = 1 << 15

func (in *interner) string(b []byte) string {
	if s, ok := in.strings[string(b)]; ok {
		return s
	}
	if len(in.strings) >= maxInterned {
		clear(in.strings)
	}
	s := string(b)
	in.strings[s] = s
	return s
}

// labelSet gives the map of the raw entries, one for all equal sets.
func (in *interner) labelSet(entries [][]byte) (map[string]string, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	in.buf = in.buf[:0]
	for _, e := range entries {
		in.buf = protowire.AppendBytes(in.buf, e)
	}
	if m, ok := in.labels[string(in.buf)]; ok {
		return m, nil
	}
	m := make(map[string]string, len(entries))
	for _, e := range entries {
		k, v, err := readEntry(e)
		if err != nil {
			return nil, err
		}
		m[in.string(k)] = in.string(v)
	}
	if len(in.labels) >= maxInterned {
		clear(in.labels)
	}
	in.labels[string(in.buf)] = m
	return m, nil
}
