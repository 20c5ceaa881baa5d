package soak

import (
	"strings"
	"testing"
)

func samples(goroutines ...int) (list []Sample) {
	for _, n := range goroutines {
		list = append(list, Sample{Goroutines: n, Heap: 4 << 20, RSS: 16 << 20})
	}
	return list
}

// What was measured in two runs in which nothing leaked does not count as growth; one
// goroutine more with each trouble does, and so does memory.
func TestGrown(t *testing.T) {
	for _, noise := range [][]int{
		{100, 98, 103, 105, 101, 101, 103, 101, 103, 103, 103, 103},
		{98, 98, 103, 101, 99, 101, 105, 103, 103, 99, 101, 101, 99, 103},
	} {
		if err := Grown(samples(noise...)); err != nil {
			t.Errorf("%v: %v", noise, err)
		}
		leak := samples(noise...)
		for i := range leak {
			leak[i].Goroutines += i
		}
		if err := Grown(leak); err == nil || !strings.Contains(err.Error(), "goroutines grew from ") {
			t.Errorf("a leak on top of %v: %v", noise, err)
		}
	}
	heavier := samples(100, 100, 100, 100, 100, 100)
	for i := range heavier[3:] {
		heavier[3+i].Heap += 1 << 20
	}
	if err := Grown(heavier); err == nil || !strings.Contains(err.Error(), "heap grew") {
		t.Errorf("a heap a quarter larger: %v", err)
	}
	if Grown(samples(1, 1, 1)) == nil {
		t.Error("three samples tell")
	}
}
