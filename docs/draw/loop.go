package main

// loop is the way of a model and of the rows that judge it.
func loop() picture {
	const top, bottom, h = 96, 292, 92
	return picture{
		Title: "The loop",
		Describe: "Data is trained into a bundle, registered, served; predictions and labels are watched for drift; " +
			"an alert starts a retraining, whose model is compared, tried in shadow and canary, and promoted or rolled back.",
		W: 960, H: 470,
		Boxes: []box{
			{X: 24, Y: top, W: 132, H: h, Kind: "yours", Title: "your data", Lines: []string{"CSV, Arrow, a query", "on your tables"}},
			{X: 212, Y: top, W: 164, H: h, Kind: "part", Title: "train", Lines: []string{"features fitted,", "network fitted,", "reference profile"}},
			{X: 452, Y: top, W: 164, H: h, Kind: "part", Title: "registry", Lines: []string{"immutable versions,", "alias champion,", "audit trail"}},
			{X: 692, Y: top, W: 164, H: h, Kind: "part", Title: "serve", Lines: []string{"champion, shadow,", "canary; swaps without", "dropping a request"}},
			{X: 692, Y: bottom, W: 164, H: h, Kind: "store", Title: "prediction log", Lines: []string{"every answer,", "labels joined by", "prediction id"}},
			{X: 452, Y: bottom, W: 164, H: h, Kind: "part", Title: "drift", Lines: []string{"windows against the", "reference profile,", "errors of labels"}},
			{X: 212, Y: bottom, W: 164, H: h, Kind: "top", Title: "retrain", Lines: []string{"triggers, policy, gates,", "rollout; every step", "survives kill -9"}},
			{X: 24, Y: 24, W: 352, H: 40, Kind: "store", Title: "tracking: runs, params, metrics, files"},
			{X: 692, Y: 24, W: 244, H: 40, Kind: "yours", Title: "your service and its users"},
		},
		Arrows: []arrow{
			{Points: [][2]int{{156, top + 46}, {212, top + 46}}},
			{Points: [][2]int{{376, top + 46}, {452, top + 46}}},
			{Points: [][2]int{{616, top + 46}, {692, top + 46}}},
			{Points: [][2]int{{294, top}, {294, 64}}, Kind: "dashed"},
			{Points: [][2]int{{740, 64}, {740, top}}},
			{Points: [][2]int{{800, top}, {800, 64}}},
			{Points: [][2]int{{774, top + h}, {774, bottom}}},
			{Points: [][2]int{{908, 64}, {908, bottom + 46}, {856, bottom + 46}}},
			{Points: [][2]int{{692, bottom + 46}, {616, bottom + 46}}},
			{Points: [][2]int{{452, bottom + 46}, {376, bottom + 46}}},
			{Points: [][2]int{{294, bottom}, {294, top + h}}},
			{Points: [][2]int{{350, bottom}, {350, 240}, {534, 240}, {534, top + h}}},
		},
		Notes: []note{
			{X: 414, Y: 134, Anchor: "middle", Kind: "note", Text: "bundle"},
			{X: 654, Y: 134, Anchor: "middle", Kind: "note", Text: "champion"},
			{X: 303, Y: 84, Anchor: "start", Kind: "note", Text: "logs"},
			{X: 731, Y: 84, Anchor: "end", Kind: "note", Text: "request"},
			{X: 809, Y: 84, Anchor: "start", Kind: "note", Text: "answer"},
			{X: 900, Y: 250, Anchor: "end", Kind: "note", Text: "labels, later"},
			{X: 765, Y: 250, Anchor: "end", Kind: "note", Text: "logged"},
			{X: 654, Y: 330, Anchor: "middle", Kind: "note", Text: "rows"},
			{X: 414, Y: 330, Anchor: "middle", Kind: "note", Text: "alert"},
			{X: 285, Y: 250, Anchor: "end", Kind: "note", Text: "fit again"},
			{X: 442, Y: 232, Anchor: "middle", Kind: "note", Text: "promote or roll back"},
			{X: 480, Y: 428, Anchor: "middle", Kind: "note", Text: "A challenger is compared with the champion on the same later rows, then answers in the shadow, then a share of the"},
			{X: 480, Y: 446, Anchor: "middle", Kind: "note", Text: "traffic; only then does the alias move. All of it is kept in one database and runs inside your process."},
		},
	}
}
