package demo

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// codec writes answers in the form the client asked for.
type codec struct {
	proto    bool
	metadata bool // PartialObjectMetadata instead of whole objects
}

// negotiate reads an Accept header. JSON is what everybody gets who asks for
// nothing we know.
func negotiate(accept string) codec {
	for _, part := range strings.Split(accept, ",") {
		media, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		metadata := strings.Contains(params, "as=PartialObjectMetadata")
		switch media {
		case "application/vnd.kubernetes.protobuf":
			return codec{true, metadata}
		case "application/json", "*/*":
			return codec{false, metadata}
		}
	}
	return codec{}
}

func (c codec) contentType(watch bool) string {
	t := "application/json"
	if c.proto {
		t = "application/vnd.kubernetes.protobuf"
	}
	if watch {
		t += ";stream=watch"
	}
	return t
}

// view is the object as the client wants it, with its kind.
func (c codec) view(k *kind, o object) (any, metav1.TypeMeta) {
	version, kindName := k.gvk.ToAPIVersionAndKind()
	if !c.metadata {
		return o, metav1.TypeMeta{APIVersion: version, Kind: kindName}
	}
	meta := metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}
	full := o.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
	return &metav1.PartialObjectMetadata{TypeMeta: meta, ObjectMeta: *full}, meta
}

type marshaler interface{ Marshal() ([]byte, error) }

// envelope is the protobuf form of an answer.
func envelope(meta metav1.TypeMeta, raw []byte) ([]byte, error) {
	u := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: meta.APIVersion, Kind: meta.Kind}, Raw: raw}
	b, err := u.Marshal()
	return append([]byte("k8s\x00"), b...), err
}

// object writes one object.
func (c codec) object(k *kind, o object) ([]byte, error) {
	v, meta := c.view(k, o)
	if c.proto {
		raw, err := v.(marshaler).Marshal()
		if err != nil {
			return nil, err
		}
		return envelope(meta, raw)
	}
	return withType(v, meta)
}

// withType writes an object as JSON with its kind, which stored objects lack.
func withType(v any, meta metav1.TypeMeta) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	if len(body) == 2 {
		return head, nil
	}
	if strings.HasPrefix(string(body), string(head[:len(head)-1])) {
		return body, nil
	}
	return append(append(head[:len(head)-1], ','), body[1:]...), nil
}

// list writes a list of the objects.
func (c codec) list(k *kind, items []object, version uint64, next string) ([]byte, error) {
	group, kindName := k.gvk.ToAPIVersionAndKind()
	meta := metav1.TypeMeta{APIVersion: group, Kind: kindName + "List"}
	if c.metadata {
		meta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}
	}
	head := metav1.ListMeta{ResourceVersion: strconv.FormatUint(version, 10), Continue: next}
	if c.proto {
		return c.protoList(k, items, head, meta)
	}
	views := make([]any, len(items))
	for i, o := range items {
		views[i], _ = c.view(k, o)
	}
	return json.Marshal(struct {
		metav1.TypeMeta
		Metadata metav1.ListMeta `json:"metadata"`
		Items    []any           `json:"items"`
	}{meta, head, views})
}

// protoList writes metadata=1, items=2, the form all lists of the API have.
func (c codec) protoList(k *kind, items []object, head metav1.ListMeta, meta metav1.TypeMeta) ([]byte, error) {
	raw, err := head.Marshal()
	if err != nil {
		return nil, err
	}
	out := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), raw)
	for _, o := range items {
		v, _ := c.view(k, o)
		if raw, err = v.(marshaler).Marshal(); err != nil {
			return nil, err
		}
		out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), raw)
	}
	return envelope(meta, out)
}

// event writes one frame of a watch.
func (c codec) event(verb string, k *kind, o object) ([]byte, error) {
	body, err := c.object(k, o)
	if err != nil {
		return nil, err
	}
	return c.frame(verb, body)
}

// failure writes the frame that tells a client its watch cannot go on.
func (c codec) failure(st *metav1.Status) ([]byte, error) {
	body, err := c.status(st)
	if err != nil {
		return nil, err
	}
	return c.frame("ERROR", body)
}

func (c codec) status(st *metav1.Status) ([]byte, error) {
	meta := metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	if !c.proto {
		return withType(st, meta)
	}
	raw, err := st.Marshal()
	if err != nil {
		return nil, err
	}
	return envelope(meta, raw)
}

// frame is one event of a watch. In protobuf it is length and bare WatchEvent:
// only the object inside has an envelope.
func (c codec) frame(verb string, body []byte) ([]byte, error) {
	if !c.proto {
		return fmt.Appendf(nil, "{\"type\":%q,\"object\":%s}\n", verb, body), nil
	}
	ev := metav1.WatchEvent{Type: verb, Object: runtime.RawExtension{Raw: body}}
	raw, err := ev.Marshal()
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...), err
}
