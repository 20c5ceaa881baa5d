package wire

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/lab/term"
)

// program is one way to look at the lab.
type program struct {
	name  string
	nodes []string // shows its machines, or what stands for them
	pods  []string // shows the pods of all namespaces
	first []string // what its first screen has on it
	down  string   // the key that goes a row down
}

// Beside measures geotop and k9s (the binary of that name) on one lab in turn, at the
// sizes of both: the start until nothing comes for a while, a minute in which nothing
// happens to the cluster, the pods' list gone down by a held key, and a minute from when
// a house goes dark.
func Beside(ctx context.Context, geotop, k9s string, out io.Writer) error {
	r, err := rig.Up(ctx, rig.Config{NoTailnet: true, NoMetrics: true, NoLonghorn: true, Log: func(string, ...any) {}})
	if err != nil {
		return err
	}
	defer r.Down()
	c, err := r.Client()
	if err != nil {
		return err
	}
	kubeconfig, house := r.Kubeconfig("admin"), r.Houses()[0]
	look := []string{geotop, "--kubeconfig", kubeconfig, "--no-state", "--no-ping"}
	other := []string{k9s, "--kubeconfig", kubeconfig, "--splashless", "--logoless", "-c"}
	programs := []program{
		{"geotop", look, look, []string{house, "RO"}, "j"},
		{"geotop --low-bandwidth", append(look[:len(look):len(look)], "--low-bandwidth"), append(look[:len(look):len(look)], "--low-bandwidth"), []string{house, "RO"}, "j"},
		{"k9s", append(other[:len(other):len(other)], "nodes"), append(other[:len(other):len(other)], "pods all"), nil, "j"},
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tstart\tidle minute\t30 rows down\ta house dies, a minute\t")
	for _, size := range [][2]int{{46, 19}, {80, 24}, {120, 40}} {
		for _, p := range programs {
			dir, err := os.MkdirTemp("", "geotop-wire-")
			if err != nil {
				return err
			}
			b := beside{p, size[0], size[1], []string{"LANG=C.UTF-8", "COLORTERM=", "GEOTOP_CONFIG=" + os.DevNull, "HOME=" + dir, "K9S_CONFIG_DIR=" + filepath.Join(dir, "k9s")}}
			n, err := b.measure(ctx, func() error { return r.Cut(ctx, house) })
			os.RemoveAll(dir)
			if err != nil {
				return fmt.Errorf("%s at %dx%d: %w", p.name, size[0], size[1], err)
			}
			fmt.Fprintf(t, "%s at %dx%d\t%d\t%d\t%d\t%d\t\n", p.name, size[0], size[1], n[0], n[1], n[2], n[3])
			if err := r.Restore(ctx, house); err != nil {
				return err
			}
			if err := r.WaitNodes(ctx, c); err != nil {
				return err
			}
			if err := r.WaitWorkloads(ctx, c); err != nil {
				return err
			}
		}
	}
	return t.Flush()
}

// beside is one program in one terminal.
type beside struct {
	program
	width, height int
	env           []string
}

// settling is how long a program may take until nothing comes any more; k9s writes as
// long as it runs.
const settling = 10 * time.Second

func (b *beside) open(ctx context.Context, args []string) (*term.Term, error) {
	s, err := term.Start(b.width, b.height, b.env, args...)
	if err != nil {
		return nil, err
	}
	err = s.Shows(ctx, b.first...)
	if err == nil {
		err = during(ctx, settling)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (b *beside) measure(ctx context.Context, cut func() error) (n [4]int64, err error) {
	s, err := b.open(ctx, b.pods)
	if err != nil {
		return n, err
	}
	defer s.Close()
	if b.name != "k9s" {
		if err := s.Type("7"); err != nil {
			return n, err
		}
		if err := during(ctx, quiet); err != nil {
			return n, err
		}
	}
	before := s.Bytes()
	for range 30 {
		if err := s.Type(b.down); err != nil {
			return n, err
		}
		if err := during(ctx, 50*time.Millisecond); err != nil {
			return n, err
		}
	}
	if err := during(ctx, quiet); err != nil {
		return n, err
	}
	n[2] = s.Bytes() - before
	s.Close()

	s, err = b.open(ctx, b.nodes)
	if err != nil {
		return n, err
	}
	defer s.Close()
	n[0] = s.Bytes()
	if err := during(ctx, idle); err != nil {
		return n, err
	}
	n[1] = s.Bytes() - n[0]
	before = s.Bytes()
	if err := cut(); err != nil {
		return n, err
	}
	if err := during(ctx, idle); err != nil {
		return n, err
	}
	n[3] = s.Bytes() - before
	return n, nil
}
