package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/geotop/geotop/lab/bench"
	"github.com/geotop/geotop/lab/drill"
	"github.com/geotop/geotop/lab/pictures"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/lab/soak"
	"github.com/geotop/geotop/lab/wire"
)

func newBench() *cobra.Command {
	var geotop, hello string
	cmd := &cobra.Command{Use: "bench", Short: "measure geotop on the lab that is up: times, CPU, memory, bytes", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		_, s, err := status()
		if err != nil {
			return err
		}
		tmp, err := os.MkdirTemp("", "geotop-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		ctx, cancel := context.WithTimeout(cmd.Context(), 15*time.Minute)
		defer cancel()
		cfg := bench.Config{Dir: s.Dir, API: strings.TrimPrefix(s.API, "https://"), Out: cmd.OutOrStdout(), Geotop: geotop, Hello: hello}
		if cfg.Geotop == "" {
			cfg.Geotop = filepath.Join(tmp, "geotop")
			if err := build(ctx, "..", cfg.Geotop, "./cmd/geotop"); err != nil {
				return err
			}
		}
		if cfg.Hello == "" {
			cfg.Hello = filepath.Join(tmp, "hello")
			if err := build(ctx, ".", cfg.Hello, "./bench/hello"); err != nil {
				return err
			}
		}
		return bench.Run(ctx, cfg)
	}}
	cmd.Flags().StringVar(&geotop, "geotop", "", "`binary` to measure (default: this checkout's, built now)")
	cmd.Flags().StringVar(&hello, "hello", "", "`binary` of the framework's hello (default: built now)")
	return cmd
}

func newWire() *cobra.Command {
	var geotop, k9s string
	cmd := &cobra.Command{Use: "wire", Short: "count the bytes geotop writes to a terminal", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), 40*time.Minute)
		defer cancel()
		if geotop == "" {
			tmp, err := os.MkdirTemp("", "geotop-wire-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(tmp)
			geotop = filepath.Join(tmp, "geotop")
			if err := build(ctx, "..", geotop, "./cmd/geotop"); err != nil {
				return err
			}
		}
		if k9s != "" {
			return wire.Beside(ctx, geotop, k9s, cmd.OutOrStdout())
		}
		return wire.Run(ctx, geotop, cmd.OutOrStdout())
	}}
	cmd.Flags().StringVar(&geotop, "geotop", "", "`binary` to measure (default: this checkout's, built now)")
	cmd.Flags().StringVar(&k9s, "k9s", "", "`binary` of k9s: measure both on a lab, one after the other")
	return cmd
}

func newDrill() *cobra.Command {
	cfg, kind, again := drill.Config{First: 1, Count: 10, Beside: 1}, "pods", ""
	var layout []int
	cmd := &cobra.Command{Use: "drill", Short: "cut houses of generated clusters, and hold geotop's forecasts against what happens", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		cfg.Out = cmd.OutOrStdout()
		if again != "" {
			return drill.Again(again, cfg.Out)
		}
		switch kind {
		case "pods":
			return drill.Series(cmd.Context(), cfg)
		case "etcd", "minio":
			return drill.QuorumSeries(cmd.Context(), kind == "minio", layout, cfg.Out)
		default:
			return fmt.Errorf("there are drills of pods, etcd and minio, not of %q", kind)
		}
	}}
	cmd.Flags().StringVar(&kind, "of", kind, "what to drill: `kind` pods, etcd, minio")
	cmd.Flags().IntSliceVar(&layout, "layout", nil, "of etcd or minio: members or servers in each house, as 2,2,1 (default: all layouts)")
	cmd.Flags().Uint64Var(&cfg.First, "seed", cfg.First, "of the first cluster")
	cmd.Flags().IntVar(&cfg.Count, "count", cfg.Count, "how many")
	cmd.Flags().IntVar(&cfg.Beside, "beside", cfg.Beside, "how many at the same time")
	cmd.Flags().StringVar(&cfg.Keep, "keep", cfg.Keep, "`folder` to keep what was and what came of it in")
	cmd.Flags().StringVar(&again, "again", again, "forecast what was kept in the `folder` once more, and drill nothing")
	return cmd
}

func newPictures() *cobra.Command {
	out, film := "", false
	cmd := &cobra.Command{Use: "pictures", Short: "draw the docs' pictures from the demo", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		tmp, err := os.MkdirTemp("", "geotop-pictures-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Minute)
		defer cancel()
		binary := filepath.Join(tmp, "geotop")
		if err := build(ctx, "..", binary, "./cmd/geotop"); err != nil {
			return err
		}
		if film {
			return pictures.Film(ctx, binary, filepath.Join(out, "outage.svg"))
		}
		return pictures.Draw(ctx, binary, out)
	}}
	cmd.Flags().BoolVar(&film, "film", false, "the recording of a planned power cut, which is no more the same twice than the demo is")
	cmd.Flags().StringVar(&out, "out", filepath.Join("..", "docs", "pictures"), "`folder` to write to")
	return cmd
}

func newSoak() *cobra.Command {
	var cfg soak.Config
	cmd := &cobra.Command{Use: "soak", Short: "trouble a lab of its own at random, and see that geotop does not grow", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		tmp, err := os.MkdirTemp("", "geotop-soak-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, cfg.For+15*time.Minute)
		defer cancel()
		cfg.Dir, cfg.Out, cfg.Plain, cfg.Raced = tmp, cmd.OutOrStdout(), filepath.Join(tmp, "geotop"), filepath.Join(tmp, "geotop-race")
		if err := build(ctx, "..", cfg.Plain, "./cmd/geotop"); err != nil {
			return err
		}
		if err := soak.BuildRaced(ctx, filepath.Join(home(), ".."), cfg.Raced); err != nil {
			return err
		}
		if cfg.Rig, err = rig.Up(ctx, rig.Config{Log: func(string, ...any) {}}); err != nil {
			return err
		}
		defer cfg.Rig.Down()
		samples, err := soak.Run(ctx, cfg)
		if err != nil {
			return err
		}
		return soak.Grown(samples)
	}}
	cmd.Flags().DurationVar(&cfg.For, "for", 10*time.Minute, "how long")
	cmd.Flags().Uint64Var(&cfg.Seed, "seed", 1, "what happens, and when")
	return cmd
}

// home is this module's folder.
func home() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// build makes a binary of this checkout as a release is made; dir is relative
// to this module.
func build(ctx context.Context, dir, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Dir = filepath.Join(home(), dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, said)
	}
	return nil
}
