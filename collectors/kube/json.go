package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Custom resources come as JSON only.

// readJSONList walks a list's items and gives its resourceVersion and continue token.
func readJSONList(body []byte, item func([]byte) error) (rv, next string, err error) {
	var list struct {
		Metadata struct{ ResourceVersion, Continue string }
		Items    []json.RawMessage
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return "", "", fmt.Errorf("the answer is no list: %w", err)
	}
	for _, raw := range list.Items {
		if err := item(raw); err != nil {
			return "", "", err
		}
	}
	return list.Metadata.ResourceVersion, list.Metadata.Continue, nil
}

// eventReader gives the events of a watch one by one.
type eventReader interface{ next() (watchEvent, error) }

// jsonFrames reads the events of a JSON watch.
type jsonFrames struct{ dec *json.Decoder }

func newJSONFrames(r io.Reader) *jsonFrames { return &jsonFrames{json.NewDecoder(r)} }

func (f *jsonFrames) next() (watchEvent, error) {
	var ev struct {
		Type   string
		Object json.RawMessage
	}
	if err := f.dec.Decode(&ev); err != nil {
		return watchEvent{}, err
	}
	return watchEvent{kind: ev.Type, object: ev.Object, json: true}, nil
}

// customMeta is what is read of a custom resource's metadata.
type customMeta struct {
	Name              string
	Namespace         string
	UID               string
	ResourceVersion   string
	CreationTimestamp time.Time
	DeletionTimestamp *time.Time
	Labels            map[string]string
}

// custom is a custom resource with the spec and status a decoder asks for.
type custom[S, T any] struct {
	Metadata customMeta
	Spec     S
	Status   T
}

// customDecoder reads a custom resource and keeps what convert takes of it.
func customDecoder[S, T, V any](convert func(*custom[S, T]) *V) func([]byte) (*V, string, error) {
	return func(raw []byte) (*V, string, error) {
		var obj custom[S, T]
		if err := json.Unmarshal(raw, &obj); err != nil {
			return nil, "", err
		}
		return convert(&obj), obj.Metadata.ResourceVersion, nil
	}
}

// version reads the resourceVersion a BOOKMARK event carries.
func (ev watchEvent) version() (string, error) {
	if ev.json {
		var obj struct{ Metadata customMeta }
		err := json.Unmarshal(ev.object, &obj)
		return obj.Metadata.ResourceVersion, err
	}
	var meta objectMeta
	err := bookmark(ev.object, &meta)
	return meta.resourceVersion, err
}

// status reads the metav1.Status an ERROR event carries.
func (ev watchEvent) status() (*metav1.Status, error) {
	var st metav1.Status
	if ev.json {
		return &st, json.Unmarshal(ev.object, &st)
	}
	return &st, st.Unmarshal(ev.object)
}
