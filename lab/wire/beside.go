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
	name   string
	nodes  []string // shows its machines, or what stands for them
	pods   []string // shows the pods of all namespaces
	first  []string // what its first screen has on it
	toPods string   // keys that go from there to the pods
}

// Beside measures geotop and k9s (the binary of that name) on one lab at the same time:
// the start until nothing comes for a while, a minute in which nothing happens to the
// cluster, a minute from when a house goes dark, and the pods' list gone down by a held
// key.
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
	thrifty := append(look[:len(look):len(look)], "--low-bandwidth")
	other := []string{k9s, "--kubeconfig", kubeconfig, "--splashless", "--logoless", "-c"}
	programs := []program{
		{"geotop", look, look, []string{house, "RO"}, "7"},
		{"geotop --low-bandwidth", thrifty, thrifty, []string{house, "RO"}, "7"},
		{"k9s", append(other[:len(other):len(other)], "nodes"), append(other[:len(other):len(other)], "pods all"), nil, ""},
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tstart\tidle minute\ta house dies, a minute\t30 rows down\t")
	for _, size := range [][2]int{{46, 19}, {80, 24}, {120, 40}} {
		b := beside{programs, size[0], size[1], ""}
		n, err := b.measure(ctx, func() error { return r.Cut(ctx, house) })
		if err != nil {
			return fmt.Errorf("%dx%d: %w", size[0], size[1], err)
		}
		for i, p := range programs {
			fmt.Fprintf(t, "%s at %dx%d\t%d\t%d\t%d\t%d\t\n", p.name, size[0], size[1], n[i][0], n[i][1], n[i][2], n[i][3])
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if err := r.Restore(ctx, house); err != nil {
			return err
		}
		if err := r.WaitNodes(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// beside is programs side by side, in terminals of one size.
type beside struct {
	programs      []program
	width, height int
	home          string
}

// settling is how long a program may take until nothing comes any more; k9s writes as
// long as it runs.
const settling = 10 * time.Second

// open starts a program with nothing of its own kept.
func (b *beside) open(ctx context.Context, p program, args []string) (*term.Term, error) {
	s, err := term.Start(b.width, b.height, []string{"LANG=C.UTF-8", "COLORTERM=", "GEOTOP_CONFIG=" + os.DevNull, "HOME=" + b.home, "K9S_CONFIG_DIR=" + filepath.Join(b.home, "k9s")}, args...)
	if err != nil {
		return nil, err
	}
	if err := s.Shows(ctx, p.first...); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return s, nil
}

// measure gives what each program wrote, in the order of the table.
func (b *beside) measure(ctx context.Context, cut func() error) (n [][4]int64, err error) {
	if b.home, err = os.MkdirTemp("", "geotop-wire-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.home)
	n = make([][4]int64, len(b.programs))
	terms := make([]*term.Term, len(b.programs))
	for i, p := range b.programs {
		if terms[i], err = b.open(ctx, p, p.nodes); err != nil {
			return nil, err
		}
		defer terms[i].Close()
	}
	seen := make([]int64, len(terms))
	for column, wait := range []time.Duration{settling, idle, idle} {
		if column == 2 {
			if err := cut(); err != nil {
				return nil, err
			}
		}
		if err := during(ctx, wait); err != nil {
			return nil, err
		}
		for i, s := range terms {
			n[i][column] = s.Bytes() - seen[i]
			seen[i] = s.Bytes()
		}
	}
	for i, p := range b.programs {
		if n[i][3], err = b.scroll(ctx, p); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// scroll goes down the pods of all namespaces.
func (b *beside) scroll(ctx context.Context, p program) (int64, error) {
	s, err := b.open(ctx, p, p.pods)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	if err := during(ctx, settling); err != nil {
		return 0, err
	}
	if err := s.Type(p.toPods); err != nil {
		return 0, err
	}
	if err := during(ctx, quiet); err != nil {
		return 0, err
	}
	before := s.Bytes()
	for range 30 {
		if err := s.Type("j"); err != nil {
			return 0, err
		}
		if err := during(ctx, 50*time.Millisecond); err != nil {
			return 0, err
		}
	}
	if err := during(ctx, quiet); err != nil {
		return 0, err
	}
	return s.Bytes() - before, nil
}
