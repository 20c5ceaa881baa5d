// Command geotop is the cockpit for Kubernetes clusters that are stretched
// across houses.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// Exit codes. With --check the state of the cluster decides instead.
const (
	exitOK     = 0
	exitFailed = 1
	exitUnseen = 3  // could not look
	exitUsage  = 64 // bad flags, kubeconfig or file
)

// exitError carries an exit code; a nil cause says nothing on stderr.
type exitError struct {
	code  int
	cause error
}

func (e *exitError) Error() string {
	if e.cause == nil {
		return ""
	}
	return e.cause.Error()
}

func (e *exitError) Unwrap() error { return e.cause }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// quiet keeps Kubernetes' libraries from logging to stderr by themselves, over any
// screen.
var quiet = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

// untilTerminated is under which a command's context has the one that an interrupt
// leaves alone.
type untilTerminated struct{}

// uninterrupted is for the live screen: a Ctrl-C is a key to it, or meant for the
// program that has its terminal for a while.
func uninterrupted(ctx context.Context) context.Context {
	if base, is := ctx.Value(untilTerminated{}).(context.Context); is {
		return base
	}
	return ctx
}

// run is main without the process: it gives the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	quiet()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, stop = signal.NotifyContext(context.WithValue(ctx, untilTerminated{}, ctx), os.Interrupt)
	defer stop()
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitUsage, err} // what cobra finds wrong is bad usage
	}
	if exit.cause != nil {
		fmt.Fprintln(stderr, "geotop:", exit.cause)
	}
	return exit.code
}
