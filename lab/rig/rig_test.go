package rig

import (
	"context"
	"testing"
	"time"
)

func TestTmp(t *testing.T) {
	ctx := context.Background()
	t0 := time.Now()
	r, err := Up(ctx, Config{Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("up", time.Since(t0))
	defer r.Down()
	c, _ := r.Client()
	t0 = time.Now()
	if err := r.Cut(ctx, "curepipe"); err != nil {
		t.Fatal(err)
	}
	w, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.WaitNodes(w, c, "curepipe-1", "curepipe-2", "curepipe-3"); err != nil {
		t.Fatal(err)
	}
	t.Log("cut", time.Since(t0))
	t0 = time.Now()
	r.Restore(ctx, "curepipe")
	if err := r.WaitNodes(w, c); err != nil {
		t.Fatal(err)
	}
	t.Log("restored", time.Since(t0))
}
