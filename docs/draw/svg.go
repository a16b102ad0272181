package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// picture is a table of shapes in a frame of the given size; units are pixels.
type picture struct {
	Title, Describe string // for readers who do not see the picture
	W, H            int
	Boxes           []box
	Arrows          []arrow
	Notes           []note
}

// box is a rounded rectangle with a title, which may be empty, and lines of
// small text, centred.
type box struct {
	X, Y, W, H int
	Kind       string // a class of style
	Title      string
	Code       string // a title that is a name of the code
	Lines      []string
}

// arrow is a line through its points with a head at the last one.
type arrow struct {
	Points [][2]int
	Kind   string // "" or "dashed"
	Bare   bool   // no head: it runs into another
}

// note is text of its own; Anchor is start, middle or end.
type note struct {
	X, Y   int
	Anchor string
	Kind   string
	Text   string
}

const (
	titleHeight = 20
	lineHeight  = 16
)

// style draws on a ground of its own, so that it is legible on any page, and
// follows the reader's colour scheme.
const style = `
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1c2733}
.ground{fill:#ffffff}
.title{font-size:15px;font-weight:600}
.code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px;font-weight:600}
.line{font-size:12px;fill:#47545f}
.note{font-size:12px;fill:#47545f}
.head{font-size:12px;font-weight:600;fill:#47545f}
.box{stroke-width:1.5}
.part{fill:#e8f1fb;stroke:#3b7cc4}
.yours{fill:#fff4de;stroke:#c98a1b}
.store{fill:#e9f5ec;stroke:#3d9257}
.top{fill:#f1ebfa;stroke:#7d59b3}
.band{fill:#f6f8fa;stroke:#d3dae0;stroke-width:1}
.arrow{fill:none;stroke:#5b6975;stroke-width:1.6}
.dashed{stroke-dasharray:5 4}
.tip{fill:#5b6975}
@media (prefers-color-scheme:dark){
text{fill:#e8edf2}
.ground{fill:#14191f}
.line,.note,.head{fill:#b4bfca}
.part{fill:#17304a;stroke:#5b9fe6}
.yours{fill:#40310f;stroke:#d9a441}
.store{fill:#173523;stroke:#57b377}
.top{fill:#30234a;stroke:#a483dc}
.band{fill:#1b222a;stroke:#333d47}
.arrow{stroke:#95a3b0}
.tip{fill:#95a3b0}
}
`

func (p picture) svg() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="t d">`+"\n", p.W, p.H, p.W, p.H)
	fmt.Fprintf(&b, "<title id=\"t\">%s</title>\n<desc id=\"d\">%s</desc>\n<style>%s</style>\n", html.EscapeString(p.Title), html.EscapeString(p.Describe), style)
	b.WriteString(`<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect class="ground" width="%d" height="%d" rx="10"/>`+"\n", p.W, p.H)
	for _, x := range p.Boxes {
		x.write(&b)
	}
	for _, a := range p.Arrows {
		a.write(&b)
	}
	for _, n := range p.Notes {
		writeText(&b, n.X, n.Y, n.Anchor, n.Kind, n.Text)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (x box) write(b *bytes.Buffer) {
	fmt.Fprintf(b, `<rect class="box %s" x="%d" y="%d" width="%d" height="%d" rx="8"/>`+"\n", x.Kind, x.X, x.Y, x.W, x.H)
	centre := x.X + x.W/2
	height := len(x.Lines) * lineHeight
	title, kind := x.Title, "title"
	if x.Code != "" {
		title, kind = x.Code, "code"
	}
	if title != "" {
		height += titleHeight
	}
	y := x.Y + (x.H-height)/2
	if title != "" {
		writeText(b, centre, y+14, "middle", kind, title)
		y += titleHeight
	}
	for i, line := range x.Lines {
		writeText(b, centre, y+i*lineHeight+12, "middle", "line", line)
	}
}

func (a arrow) write(b *bytes.Buffer) {
	points := make([]string, len(a.Points))
	for i, p := range a.Points {
		points[i] = fmt.Sprintf("%d,%d", p[0], p[1])
	}
	class := strings.TrimSpace("arrow " + a.Kind)
	head := ` marker-end="url(#tip)"`
	if a.Bare {
		head = ""
	}
	fmt.Fprintf(b, `<polyline class="%s" points="%s"%s/>`+"\n", class, strings.Join(points, " "), head)
}

func writeText(b *bytes.Buffer, x, y int, anchor, kind, text string) {
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d" text-anchor="%s">%s</text>`+"\n", kind, x, y, anchor, html.EscapeString(text))
}
