package main

import "strings"

// domain is a package that users start from, with the packages in its folder.
type domain struct {
	Name, Does string
	Parts      []string // each named like its folder
}

// layers, from the package that ties all together down to the ground.
func layers() [][]domain {
	return [][]domain{
		{{"retrain", "the loop: triggers, policy, pipeline, gates, verdicts, rollout", []string{"judge", "retrainsql", "retraindbos", "retraintest"}}},
		{
			{"serve", "predictions, hot swap, shadow, canary, log", []string{"servehttp", "servesql", "servemem", "servetest"}},
			{"drift", "windows, thresholds, alerts to people", []string{"driftstat", "driftconcept", "alert", "driftsql", "driftmem", "drifttest"}},
		},
		{{"train", "trainers, training loop", []string{"frame", "feature", "profile", "metric", "model", "nn", "traintest"}}},
		{{"registry", "models, versions, aliases, audit trail", []string{"bundle", "registrysql", "registrymem", "registrytest"}}},
		{{"tracking", "experiments, runs, metrics, artifacts", []string{"artifact", "trackingsql", "trackingmem", "trackingtest", "artifactsql", "artifacttest"}}},
		{{"sqlstore", "SQLite and PostgreSQL: pools, transactions, migrations", nil}},
	}
}

// role is what a package is to its domain; it gives the colour.
func role(name string) string {
	for _, r := range []struct{ suffix, kind string }{
		{"test", "yours"}, {"sql", "store"}, {"mem", "store"}, {"dbos", "store"}, {"artifact", "store"}, {"http", "top"},
	} {
		if strings.HasSuffix(name, r.suffix) {
			return r.kind
		}
	}
	return "part"
}

const (
	margin, width     = 24, 960
	gap               = 24 // between the domains of a layer
	fall              = 34 // between layers: room for the arrows
	chipW, chipH      = 100, 28
	chipGap           = 6
	bandHead, bandPad = 44, 12
)

// packages is who imports whom: a package imports only what stands below it.
func packages() picture {
	p := picture{
		Title:    "The packages",
		Describe: "From top to bottom: retrain; serve and drift side by side; train; registry; tracking; sqlstore, which only the SQL stores link. Imports point down.",
		W:        width,
	}
	y := margin
	for i, layer := range layers() {
		w := (width - 2*margin - (len(layer)-1)*gap) / len(layer)
		perRow := (w - 2*bandPad + chipGap) / (chipW + chipGap)
		height := 0
		for _, d := range layer {
			rows := (len(d.Parts) + perRow - 1) / perRow
			height = max(height, bandHead+max(0, rows*(chipH+chipGap)-chipGap+bandPad))
		}
		for j, d := range layer {
			p.add(d, box{X: margin + j*(w+gap), Y: y, W: w, H: height, Kind: "band"}, perRow)
		}
		if i > 0 {
			p.drop(y, max(len(layer), len(layers()[i-1])), layer[0].Name)
		}
		y += height + fall
	}
	p.legend(y - fall + 28)
	p.H = y - fall + 48
	return p
}

// add draws a domain: a band with its name and a chip for each of its parts.
func (p *picture) add(d domain, band box, perRow int) {
	p.Boxes = append(p.Boxes, band)
	p.Notes = append(p.Notes,
		note{X: band.X + bandPad, Y: band.Y + 27, Anchor: "start", Kind: "title", Text: d.Name},
		note{X: band.X + bandPad + 84, Y: band.Y + 27, Anchor: "start", Kind: "note", Text: d.Does})
	for i, name := range d.Parts {
		p.Boxes = append(p.Boxes, box{
			X: band.X + bandPad + i%perRow*(chipW+chipGap), Y: band.Y + bandHead + i/perRow*(chipH+chipGap),
			W: chipW, H: chipH, Kind: role(name), Lines: []string{name},
		})
	}
}

// used says what the left and the right domain import of the one below, where
// that is not all of it: neither links the packages that fit models.
func used(below string) []string {
	if below == "train" {
		return []string{"of it only frame, feature, model", "of it only frame, profile"}
	}
	if below == "sqlstore" {
		return []string{"only the …sql packages"}
	}
	return nil
}

// drop draws n arrows down to the layer that begins at y with the domain below.
func (p *picture) drop(y, n int, below string) {
	w := (width - 2*margin) / n
	for i := range n {
		x := margin + i*w + w/2
		p.Arrows = append(p.Arrows, arrow{Points: [][2]int{{x, y - fall}, {x, y}}})
		if notes := used(below); i < len(notes) {
			p.Notes = append(p.Notes, note{X: x + 12, Y: y - fall/2 + 4, Anchor: "start", Kind: "note", Text: notes[i]})
		}
	}
}

func (p *picture) legend(y int) {
	for i, l := range []struct{ kind, text string }{
		{"part", "does the work"}, {"store", "keeps things"}, {"top", "speaks HTTP"}, {"yours", "suites and fakes for your tests"},
	} {
		x := margin + i*150
		p.Boxes = append(p.Boxes, box{X: x, Y: y - 12, W: 22, H: 14, Kind: l.kind})
		p.Notes = append(p.Notes, note{X: x + 30, Y: y, Anchor: "start", Kind: "note", Text: l.text})
	}
	p.Notes = append(p.Notes, note{X: width - margin, Y: y, Anchor: "end", Kind: "note", Text: "an arrow: imports"})
}
