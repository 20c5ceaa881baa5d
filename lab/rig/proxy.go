package rig

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Slow is how a Proxy treats its connections.
type Slow struct {
	Delay     time.Duration `json:"delay"`     // each way
	Jitter    time.Duration `json:"jitter"`    // up to so much more
	Bandwidth int           `json:"bandwidth"` // bytes a second and direction; 0 for no limit
	Hang      bool          `json:"hang"`      // connections stay open, nothing passes any more
	Refuse    bool          `json:"refuse"`    // new connections are closed at once
	Drop      float64       `json:"drop"`      // chance that a chunk resets its connection
}

// Proxy stands in front of a TCP server and makes the way to it bad. TLS passes
// through untouched. It counts what passes.
type Proxy struct {
	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	slow  Slow
	conns map[net.Conn]bool
	ended bool

	Up, Down, Connections atomic.Int64 // bytes to and from the server; connections taken
}

// NewProxy listens on a free port of loopback.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, l: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	return p, nil
}

// Address is where it listens.
func (p *Proxy) Address() string { return p.l.Addr().String() }

// Set changes how connections are treated, those under way too.
func (p *Proxy) Set(s Slow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = s
}

func (p *Proxy) get() Slow {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slow
}

func (p *Proxy) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Reset cuts all connections under way.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
	}
}

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	_ = p.l.Close()
	p.Reset()
	p.wg.Wait()
}

// keep remembers a connection, or refuses it when the proxy has ended.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.conns[c] = true
	}
	return !p.ended
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close()
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		if p.get().Refuse || !p.keep(c) {
			reset(c)
			continue
		}
		p.Connections.Add(1)
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.forget(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	defer p.forget(server)
	if !p.keep(server) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { p.pipe(ctx, server, client, &p.Up); p.forget(server); p.forget(client) })
	both.Go(func() { p.pipe(ctx, client, server, &p.Down); p.forget(server); p.forget(client) })
	both.Wait()
}

// chunk is data on its way.
type chunk struct {
	data []byte
	at   time.Time // when it may arrive
}

// pipe carries data one way. Reading goes on while earlier chunks are delayed,
// as on a long wire; chunks keep their order.
func (p *Proxy) pipe(ctx context.Context, to io.Writer, from io.Reader, count *atomic.Int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wire := make(chan chunk, 1024)
	var writer sync.WaitGroup
	writer.Go(func() { p.deliver(ctx, cancel, to, wire, count) })
	defer writer.Wait()
	defer close(wire)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			s := p.get()
			d := s.Delay
			if s.Jitter > 0 {
				d += rand.N(s.Jitter)
			}
			select {
			case wire <- chunk{append([]byte(nil), buf[:n]...), time.Now().Add(d)}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) deliver(ctx context.Context, cancel func(), to io.Writer, wire <-chan chunk, count *atomic.Int64) {
	defer cancel()
	for c := range wire {
		if err := p.hold(ctx, to, c); err != nil {
			return
		}
		// Before it is sent: who has got an answer finds its question counted.
		count.Add(int64(len(c.data)))
		if _, err := to.Write(c.data); err != nil {
			return
		}
	}
}

var errDropped = errors.New("dropped")

// hold returns when the chunk may go on: it waits as long as the way is slow or
// hangs.
func (p *Proxy) hold(ctx context.Context, to io.Writer, c chunk) error {
	s := p.get()
	if s.Bandwidth > 0 {
		c.at = later(c.at, time.Now().Add(time.Duration(len(c.data))*time.Second/time.Duration(s.Bandwidth)))
	}
	for {
		wait := time.Until(c.at)
		if p.over() {
			return net.ErrClosed
		}
		if p.get().Hang {
			wait = 20 * time.Millisecond
		} else if wait <= 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(wait, 20*time.Millisecond)):
		}
	}
	if s.Drop > 0 && rand.Float64() < s.Drop {
		if conn, ok := to.(net.Conn); ok {
			reset(conn)
		}
		return errDropped
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
