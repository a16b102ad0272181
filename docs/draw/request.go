package main

// stop is a station of a request's way: a name of the code, and what happens
// there. A test looks for each name in the sources, those in Does included, and
// checks that From leads to it by calls.
type stop struct {
	Col, Row int
	Package  string   // folder; "": none of ours
	Name     string   // as Type.method, or a function
	Does     []string // at most two lines
	From     string   // name of the stop, or function, from which calls lead here; "": none do, it is read from a store
	Kind     string
}

func stops() []stop {
	const serve, loop, store = "part", "top", "store"
	return []stop{
		{0, 0, "", "socket", []string{"a request, and", "what answers it"}, "", "yours"},
		{1, 0, "serve/servehttp", "Handler.ServeHTTP", []string{"reads the tensors:", "Handler.infer"}, "", serve},
		{2, 0, "serve", "Server.Predict", []string{"holds on to versions:", "served.acquire"}, "Handler.ServeHTTP", serve},
		{3, 0, "serve", "traffic.pick", []string{"by a hash of the", "routing key"}, "Server.Predict", serve},
		{4, 0, "serve", "Server.SetRoute", []string{"loads, stores, then", "served.swap"}, "Loop.align", serve},

		{0, 1, "serve", "Server.Label", []string{"Handler.feedback or", "Loop.fetchLabels"}, "Handler.ServeHTTP", serve},
		{1, 1, "serve", "Server.ask", []string{"the primary, inline"}, "Server.Predict", serve},
		{2, 1, "serve", "Server.askCanary", []string{"a goroutine, half the", "time; else the primary"}, "Server.Predict", serve},
		{3, 1, "serve", "shadowQueue.offer", []string{"copied once there is", "a free place"}, "Server.Predict", serve},

		{0, 2, "serve", "Store", []string{"AppendPredictions,", "AppendLabels"}, "predictionLog.run", store},
		{1, 2, "serve", "predictionLog.run", []string{"one goroutine, many", "rows a commit"}, "predictionLog.put", serve},
		{2, 2, "serve", "predictionLog.put", []string{"a bounded queue,", "never waits"}, "Server.Predict", serve},
		{3, 2, "serve", "shadowQueue.work", []string{"workers of its own,", "a deadline each"}, "shadowQueue.offer", serve},

		{0, 3, "retrain", "Loop.Step", []string{"by Loop.Run, or at", "times of your own"}, "", loop},
		{4, 3, "retrain", "Loop.align", []string{"the traffic follows", "the alias"}, "Loop.Step", loop},

		{1, 4, "retrain", "Loop.watch", []string{"foldPredictions,", "foldLabels"}, "Loop.Step", loop},
		{2, 4, "drift", "Monitor.Observe", []string{"package drift: fires", "alerts"}, "Loop.watch", serve},
		{3, 4, "retrain", "shadowWatch.see", []string{"pairs of answers,", "their labels"}, "Loop.watch", loop},
		{4, 4, "retrain", "canaryWatch.see", []string{"failures, latency,", "labels"}, "Loop.watch", loop},

		{0, 5, "retrain", "Loop.advance", []string{"or Loop.consider", "begins a retraining"}, "Loop.Step", loop},
		{1, 5, "retrain", "Loop.gather", []string{"judgeShadow or", "judgeCanary"}, "Loop.advance", loop},
		{2, 5, "retrain", "decide", []string{"facts in, one decision", "out: a pure function"}, "Loop.advance", loop},
		{3, 5, "retrain", "Loop.move", []string{"stores the transition", "before any of it shows"}, "Loop.advance", loop},
		{4, 5, "retrain", "Loop.carryOut", []string{"once more in a next", "life, until it is done"}, "Loop.move", loop},

		{1, 6, "retrain", "Loop.recordStage", []string{"third: the Retraining", "and its events"}, "Loop.carryOut", loop},
		{2, 6, "registry", "Client.Promote", []string{"package registry: the", "alias champion moves"}, "Loop.registerStage", store},
		{3, 6, "retrain", "Loop.registerStage", []string{"second: the version's", "state, the alias"}, "Loop.carryOut", loop},
		{4, 6, "retrain", "Loop.routeStage", []string{"first: the traffic"}, "Loop.carryOut", loop},
	}
}

// The grid of the picture.
const (
	colX, colW, colGap = 40, 142, 40
	stopH              = 62
)

func col(i int) int { return colX + i*(colW+colGap) }
func mid(i int) int { return col(i) + colW/2 }
func end(i int) int { return col(i) + colW }

// row is where the stops of a row begin.
func row(i int) int { return [...]int{56, 164, 300, 436, 536, 644, 752}[i] }
func low(i int) int { return row(i) + stopH }
func eye(i int) int { return row(i) + stopH/2 }

// request is the way of one request, from the socket to the alias that moves
// because of it and of those like it.
func request() picture {
	p := picture{
		Title: "The way of a request",
		Describe: "A request goes from the socket by servehttp to Server.Predict, which picks who answers: primary, canary and shadow. " +
			"What they answered goes into the prediction log. A step of the loop reads it, shows it to the monitor and to the watches of " +
			"the rollout, gathers facts, decides, and carries the decision out: route, registry, record. The alias moves, and the traffic follows.",
		W: width, H: 896,
	}
	for _, b := range []struct {
		title       string
		top, bottom int
	}{
		{"while the caller waits: servehttp, serve", 20, 244},
		{"behind the request's back: serve", 264, 380},
		{"a step: retrain", 400, 850},
	} {
		p.Boxes = append(p.Boxes, box{X: margin, Y: b.top, W: end(4) + 16 - margin, H: b.bottom - b.top, Kind: "band"})
		p.Notes = append(p.Notes, note{X: end(4), Y: b.top + 23, Anchor: "end", Kind: "head", Text: b.title})
	}
	for _, s := range stops() {
		p.Boxes = append(p.Boxes, box{X: col(s.Col), Y: row(s.Row), W: colW, H: stopH, Kind: s.Kind, Code: s.Name, Lines: s.Does})
	}
	p.Arrows = append(answering(), stepping()...)
	p.Notes = append(p.Notes,
		note{X: end(0) + 14, Y: 152, Anchor: "end", Kind: "note", Text: "answer"},
		note{X: mid(0) - 8, Y: 152, Anchor: "end", Kind: "note", Text: "truth, later"},
		note{X: (end(0) + col(4)) / 2, Y: eye(3) - 8, Anchor: "middle", Kind: "note", Text: "first of all, whatever else fails"},
		note{X: (end(2) + col(3)) / 2, Y: 831, Anchor: "middle", Kind: "note", Text: "the next step"},
		note{X: colX, Y: 878, Anchor: "start", Kind: "note", Text: "An arrow: the work goes on there. Dashed: later, by what was stored or kept."})
	return p
}

// answering are the arrows of a request and of its record.
func answering() []arrow {
	fan := row(1) - 22
	into := row(2) - 16
	return []arrow{
		{Points: [][2]int{{end(0), row(0) + 18}, {col(1), row(0) + 18}}},
		{Points: [][2]int{{end(1), eye(0)}, {col(2), eye(0)}}},
		{Points: [][2]int{{end(2), eye(0)}, {col(3), eye(0)}}},
		{Points: [][2]int{{col(4), eye(0)}, {end(3), eye(0)}}, Kind: "dashed"},
		{Points: [][2]int{{mid(0), low(0)}, {mid(0), row(1)}}},
		{Points: [][2]int{{mid(2), low(0)}, {mid(2), row(1)}}},
		{Points: [][2]int{{mid(2), fan}, {mid(1), fan}, {mid(1), row(1)}}},
		{Points: [][2]int{{mid(2), fan}, {mid(3), fan}, {mid(3), row(1)}}},
		{Points: [][2]int{{col(1), eye(1)}, {end(0) + colGap/2, eye(1)}, {end(0) + colGap/2, row(0) + 44}, {end(0), row(0) + 44}}},
		{Points: [][2]int{{mid(0), low(1)}, {mid(0), row(2)}}},
		{Points: [][2]int{{mid(1), low(1)}, {mid(1), into}, {mid(2) - 20, into}, {mid(2) - 20, row(2)}}},
		{Points: [][2]int{{mid(2), low(1)}, {mid(2), row(2)}}},
		{Points: [][2]int{{mid(3), low(1)}, {mid(3), row(2)}}},
		{Points: [][2]int{{col(3), eye(2)}, {end(2), eye(2)}}},
		{Points: [][2]int{{col(2), eye(2)}, {end(1), eye(2)}}},
		{Points: [][2]int{{col(1), eye(2)}, {end(0), eye(2)}}},
	}
}

// stepping are the arrows of a step, from the log to the alias and back to the
// traffic.
func stepping() []arrow {
	shown := row(4) - 14   // what was read goes to those who watch
	judged := low(4) + 20  // and from there to the facts
	carried := low(5) + 24 // a decision to those who carry it out
	right := end(4) + 34   // outside of all bands
	routed := func(y int) [][2]int {
		return [][2]int{{end(4), y}, {right - 14, y}, {right - 14, eye(0)}, {end(4), eye(0)}}
	}
	return []arrow{
		{Points: [][2]int{{end(0) - 24, low(2)}, {end(0) - 24, low(2) + 28}, {end(0) + 20, low(2) + 28}, {end(0) + 20, shown - 8}, {mid(1), shown - 8}, {mid(1), row(4)}}, Kind: "dashed"},
		{Points: [][2]int{{end(0), eye(3)}, {col(4), eye(3)}}},
		{Points: [][2]int{{mid(0), low(3)}, {mid(0), row(5)}}},
		{Points: [][2]int{{mid(0), eye(4)}, {col(1), eye(4)}}},
		{Points: [][2]int{{end(1), eye(4)}, {col(2), eye(4)}}},
		{Points: [][2]int{{end(1) + 20, eye(4)}, {end(1) + 20, shown}, {mid(3), shown}, {mid(3), row(4)}}},
		{Points: [][2]int{{mid(3), shown}, {mid(4), shown}, {mid(4), row(4)}}},
		{Points: [][2]int{{mid(4), low(4)}, {mid(4), judged}, {mid(1), judged}, {mid(1), row(5)}}, Kind: "dashed"},
		{Points: [][2]int{{mid(3), low(4)}, {mid(3), judged}}, Kind: "dashed", Bare: true},
		{Points: [][2]int{{mid(2), low(4)}, {mid(2), judged}}, Kind: "dashed", Bare: true},
		{Points: [][2]int{{end(0), eye(5)}, {col(1), eye(5)}}},
		{Points: [][2]int{{end(1), eye(5)}, {col(2), eye(5)}}},
		{Points: [][2]int{{end(2), eye(5)}, {col(3), eye(5)}}},
		{Points: [][2]int{{end(3), eye(5)}, {col(4), eye(5)}}},
		{Points: [][2]int{{mid(4), low(5)}, {mid(4), row(6)}}},
		{Points: [][2]int{{mid(4), carried}, {mid(3), carried}, {mid(3), row(6)}}},
		{Points: [][2]int{{mid(3), carried}, {mid(1), carried}, {mid(1), row(6)}}},
		{Points: [][2]int{{col(3), eye(6)}, {end(2), eye(6)}}},
		{Points: routed(eye(6))},
		{Points: routed(eye(3) - 12)},
		{Points: [][2]int{{mid(2), low(6)}, {mid(2), low(6) + 22}, {right, low(6) + 22}, {right, eye(3) + 12}, {end(4), eye(3) + 12}}, Kind: "dashed"},
	}
}
