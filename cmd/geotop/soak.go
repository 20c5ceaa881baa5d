//go:build soak

package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"
)

// A binary for endurance runs tells what it holds whenever it is asked to: one
// line of goroutines and bytes of live heap, appended to the file GEOTOP_SOAK
// names; and who the goroutines are, in another beside it.
func init() {
	path := os.Getenv("GEOTOP_SOAK")
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			runtime.GC()
			runtime.GC() // what the first only marked
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if who, err := os.Create(path + ".goroutines"); err == nil {
				_ = pprof.Lookup("goroutine").WriteTo(who, 1)
				_ = who.Close()
			}
			if f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
				fmt.Fprintf(f, "%d %d\n", runtime.NumGoroutine(), m.HeapAlloc)
				_ = f.Close()
			}
		}
	}()
}
