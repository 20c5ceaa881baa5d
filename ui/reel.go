package ui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// Reel is a recording on the screen in place of a cluster.
type Reel interface {
	// Times are its moments in their order, at least one.
	Times() []time.Time
	// Seek makes the i-th moment the Feed's World. It reads a file.
	Seek(i int) error
}

// Between two moments that are played lies the time that lay between them, within these.
const (
	shortGap = 250 * time.Millisecond
	longGap  = 2 * time.Second
)

// reelState is where in the recording one is.
type reelState struct {
	at      int
	playing bool
	turn    int // of playing: what was waited for in an earlier one is void
}

// soughtMsg tells that a moment was gone to.
type soughtMsg struct{ err error }

// playMsg says that it is time for the next moment.
type playMsg struct{ turn int }

// seek goes to a moment.
func (a *App) seek(to int) tea.Cmd {
	a.reel.at = max(0, min(to, len(a.cfg.Reel.Times())-1))
	at := a.reel.at
	return func() tea.Msg { return soughtMsg{a.cfg.Reel.Seek(at)} }
}

// step goes so many moments on or back, and stops playing.
func (a *App) step(by int) tea.Cmd {
	if a.cfg.Reel == nil {
		a.note = "this is no recording; see geotop --record and --replay"
		return nil
	}
	a.reel.playing = false
	switch at := a.reel.at + by; {
	case at < 0:
		a.note = "this is the first moment"
	case at >= len(a.cfg.Reel.Times()):
		a.note = "this is the last moment"
	}
	return a.seek(a.reel.at + by)
}

// play lets the recording run, or stops it.
func (a *App) play() tea.Cmd {
	a.reel.turn++
	if a.reel.playing = !a.reel.playing; !a.reel.playing {
		return nil
	}
	if a.reel.at == len(a.cfg.Reel.Times())-1 { // from the start
		return tea.Batch(a.seek(0), a.playOn())
	}
	return a.playOn()
}

// playOn waits for the next moment's time.
func (a *App) playOn() tea.Cmd {
	times := a.cfg.Reel.Times()
	if a.reel.at+1 >= len(times) {
		a.reel.playing = false
		return nil
	}
	gap := max(shortGap, min(longGap, times[a.reel.at+1].Sub(times[a.reel.at])))
	turn := a.reel.turn
	return tea.Tick(gap, func(time.Time) tea.Msg { return playMsg{turn} })
}

// adoptReel takes in what became of the recording.
func (a *App) adoptReel(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case soughtMsg:
		if msg.err != nil {
			a.reel.playing = false
			a.note = "cannot read that moment: " + model.Clean(msg.err.Error(), 0)
		}
	case playMsg:
		if a.reel.playing && msg.turn == a.reel.turn {
			return tea.Batch(a.seek(a.reel.at+1), a.playOn())
		}
	}
	return nil
}

// reelBadge says which moment of a recording is on the screen, or that one is made.
func (a *App) reelBadge() (badge, bool) {
	switch {
	case a.cfg.Reel != nil:
		doing := "replay"
		if a.reel.playing {
			doing = "playing"
		}
		times := a.cfg.Reel.Times()
		if a.width >= narrowWidth {
			doing += a.world.At.Local().Format(" 15:04:05")
		}
		return badge{fmt.Sprintf("%s %d/%d", doing, a.reel.at+1, len(times)), themes.Accent}, true
	case a.cfg.Recording == nil:
		return badge{}, false
	case a.cfg.Recording() != nil:
		return badge{"REC stopped", themes.Alert}, true
	default:
		return badge{"REC", themes.Dim}, true
	}
}

// reelHint says how a recording is gone through, when one has just been opened.
func (a *App) reelHint() string {
	k := a.cfg.Keys
	return fmt.Sprintf("%s on, %s back, %s plays", k.Key(keymap.Global, keymap.StepOn), k.Key(keymap.Global, keymap.StepBack), k.Key(keymap.Global, keymap.Pause))
}
