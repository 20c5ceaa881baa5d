package survive

// lots decides what Kubernetes leaves to chance: which of two equal nodes gets a
// pod, which node of a house is given up first, which of its pods goes first. The
// same seed draws the same; none (nil) always takes the first.
type lots struct{ state uint64 }

func newLots(seed uint64) *lots {
	if seed == 0 {
		return nil
	}
	return &lots{seed * 0x9e3779b97f4a7c15}
}

// draw gives a number below n (SplitMix64).
func (l *lots) draw(n int) int {
	if l == nil || n < 2 {
		return 0
	}
	l.state += 0x9e3779b97f4a7c15
	z := l.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}

// shuffled gives the items in an order that is drawn; as they are without lots.
func shuffled[T any](l *lots, items []T) []T {
	if l == nil {
		return items
	}
	out := append([]T(nil), items...)
	for i := len(out) - 1; i > 0; i-- {
		j := l.draw(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	return out
}
