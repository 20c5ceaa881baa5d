package memory

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"
)

const viewSuffix = ".view.gz"

func (m *Memory) viewPath() string { return strings.TrimSuffix(m.path, stateSuffix) + viewSuffix }

// View reads how the cluster was looked at the last time, as it was given to KeepView.
// Where nothing is kept it leaves into as it is.
func (m *Memory) View(into any) error {
	err := unpack(m.viewPath(), func(r io.Reader) error { return json.NewDecoder(r).Decode(into) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// KeepView keeps how the cluster is looked at.
func (m *Memory) KeepView(view any) error { return write(m.viewPath(), view) }
