package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/geotop/geotop/lab/bench"
	"github.com/geotop/geotop/lab/pictures"
)

func newBench() *cobra.Command {
	return &cobra.Command{Use: "bench", Short: "measure geotop on the lab that is up: times, CPU, memory, bytes", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
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
		cfg := bench.Config{Dir: s.Dir, API: strings.TrimPrefix(s.API, "https://"), Out: cmd.OutOrStdout(), Geotop: filepath.Join(tmp, "geotop"), Hello: filepath.Join(tmp, "hello")}
		if err := build(ctx, "..", cfg.Geotop, "./cmd/geotop"); err != nil {
			return err
		}
		if err := build(ctx, ".", cfg.Hello, "./bench/hello"); err != nil {
			return err
		}
		return bench.Run(ctx, cfg)
	}}
}

func newPictures() *cobra.Command {
	out := ""
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
		return pictures.Draw(ctx, binary, out)
	}}
	cmd.Flags().StringVar(&out, "out", filepath.Join("..", "docs", "pictures"), "`folder` to write to")
	return cmd
}

// build makes a binary of this checkout as a release is made; dir is relative
// to this module.
func build(ctx context.Context, dir, out, pkg string) error {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return fmt.Errorf("build %s: the lab runs from a checkout", pkg)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Dir = filepath.Join(filepath.Dir(file), dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, said)
	}
	return nil
}
