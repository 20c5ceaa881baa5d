// Package pictures draws the docs' pictures: the real binary on stills of the
// demo, through a terminal emulator, as SVG. Same code, same pictures.
package pictures

import (
	"fmt"
	"html"
	"image/color"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

const (
	cellWidth  = 8.4
	cellHeight = 18.0
	margin     = 12.0
	foreground = "#d0d4dc"
	background = "#14171c"
)

// run is neighbouring cells of one style.
type run struct {
	x, width int
	text     string
	style    uv.Style
}

// SVG draws the screen; title is what it shows, for those who cannot see it.
func SVG(screen *vt.SafeEmulator, title string) string {
	var b strings.Builder
	begin(&b, size(screen.Width(), cellWidth), size(screen.Height(), cellHeight), title)
	b.WriteString(inner(screen) + "</svg>\n")
	return b.String()
}

// inner draws the screen on its background.
func inner(screen *vt.SafeEmulator) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<rect width="%.1f" height="%.1f" rx="8" fill="%s"/>`+"\n"+`<g %s>`+"\n", size(screen.Width(), cellWidth), size(screen.Height(), cellHeight), background, letters)
	for y := range screen.Height() {
		b.WriteString(line(screen, y, y))
	}
	b.WriteString("</g>\n")
	return b.String()
}

// letters are the attributes of what holds text.
const letters = `font-family="ui-monospace,'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="14" fill="` + foreground + `" xml:space="preserve"`

// size is how much room so many cells take with their margins.
func size(cells int, cell float64) float64 { return float64(cells)*cell + 2*margin }

func begin(b *strings.Builder, width, height float64, title string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.1f %.1f" width="%.0f" role="img" aria-label="%s">`+"\n", width, height, width, html.EscapeString(title))
	fmt.Fprintf(b, "<title>%s</title>\n", html.EscapeString(title))
}

// line draws the screen's line y where line at is.
func line(screen *vt.SafeEmulator, y, at int) string {
	var b strings.Builder
	for _, r := range runs(screen, y) {
		r.draw(&b, at)
	}
	return b.String()
}

func runs(screen *vt.SafeEmulator, y int) []run {
	var line []run
	for x := 0; x < screen.Width(); {
		c := screen.CellAt(x, y)
		text, width, style := " ", 1, uv.Style{}
		if c != nil && c.Content != "" {
			text, width, style = c.Content, max(1, c.Width), c.Style
		}
		// Dots come from another font than letters and spaces: kept apart, each is where
		// it belongs.
		if n := len(line) - 1; n >= 0 && line[n].style.Equal(&style) && dotted(line[n].text) == dotted(text) {
			line[n].text += text
			line[n].width += width
		} else {
			line = append(line, run{x, width, text, style})
		}
		x += width
	}
	return line
}

// dotted reports whether the text begins with a Braille pattern.
func dotted(text string) bool { return text >= "\u2800" && text < "\u2900" }

func (r run) draw(b *strings.Builder, y int) {
	fg, bg := hex(r.style.Fg, foreground), hex(r.style.Bg, "")
	if r.style.Attrs&uv.AttrReverse != 0 {
		fg, bg = background, fg
		if b := hex(r.style.Bg, ""); b != "" {
			fg = b
		}
	}
	left, top := margin+float64(r.x)*cellWidth, margin+float64(y)*cellHeight
	if bg != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", left, top, float64(r.width)*cellWidth, cellHeight, bg)
	}
	text := strings.TrimRight(r.text, " ")
	if text == "" {
		return
	}
	attrs := ""
	if fg != foreground {
		attrs += fmt.Sprintf(` fill="%s"`, fg)
	}
	if r.style.Attrs&uv.AttrBold != 0 {
		attrs += ` font-weight="bold"`
	}
	if r.style.Attrs&uv.AttrFaint != 0 {
		attrs += ` opacity="0.65"`
	}
	width := float64(ansi.StringWidth(text)) * cellWidth
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.1f"%s>%s</text>`+"\n", left, top+cellHeight*0.72, width, attrs, html.EscapeString(text))
}

func hex(c color.Color, otherwise string) string {
	if c == nil {
		return otherwise
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}
