package main

import (
	"net"
	"sync"
	"time"
)

// gate is a TCP way out of a house with its latency. Closed, it is a dead line:
// connections stay as they are and nothing passes. Opened again, it resets them,
// as routers that lost their state do.
type gate struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  bool
	delay time.Duration
	conns map[net.Conn]struct{}
}

func newGate(target string, delay time.Duration) (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{listener: l, target: target, open: true, delay: delay, conns: map[net.Conn]struct{}{}}
	go g.serve()
	return g, nil
}

func (g *gate) port() int { return g.listener.Addr().(*net.TCPAddr).Port }

func (g *gate) setDelay(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = d
}

func (g *gate) setOpen(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if open && !g.open {
		for c := range g.conns {
			c.Close()
		}
	}
	g.open = open
}

func (g *gate) state() (open bool, delay time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.delay
}

func (g *gate) serve() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.target)
		if err != nil {
			in.Close()
			continue
		}
		g.mu.Lock()
		g.conns[in], g.conns[out] = struct{}{}, struct{}{}
		g.mu.Unlock()
		var both sync.WaitGroup
		both.Go(func() { g.pass(in, out) })
		both.Go(func() { g.pass(out, in) })
		go func() {
			both.Wait()
			g.mu.Lock()
			delete(g.conns, in)
			delete(g.conns, out)
			g.mu.Unlock()
		}()
	}
}

// chunk is data on its way, and when it arrives.
type chunk struct {
	data []byte
	at   time.Time
}

// pass copies from in to out, each chunk late by the delay; while the gate is
// closed what is sent is lost.
func (g *gate) pass(in, out net.Conn) {
	line := make(chan chunk, 1024)
	go func() {
		defer in.Close()
		defer out.Close()
		for c := range line {
			time.Sleep(time.Until(c.at))
			if open, _ := g.state(); !open {
				continue
			}
			if _, err := out.Write(c.data); err != nil {
				break
			}
		}
		for range line { // the reader must not block
		}
	}()
	defer close(line)
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			_, delay := g.state()
			line <- chunk{append([]byte(nil), buf[:n]...), time.Now().Add(delay)}
		}
		if err != nil {
			return
		}
	}
}
