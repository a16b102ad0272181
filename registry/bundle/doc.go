// Package bundle says what a model version is on disk: a folder with a
// manifest, an MLmodel file, and named parts whose codecs belong to the
// packages that use them (weights, features, reference profile …).
//
//	b, err := bundle.New(bundle.Spec{Flavor: "mlloop.classifier", CreatedAt: now, Signature: signature},
//		map[string][]byte{bundle.WeightsPart: weights})
//	err = b.WriteDir(ctx, "model")
//	b, err = bundle.OpenDir("model")
//	weights, err = b.ReadFile(bundle.WeightsPart) // verified
//
// NewFS packs files that are too large to be held. A bundle is an fs.FS of its
// files; large ones are streamed and verified as they are read.
//
// manifest.json lists every other file with its size and SHA-256. It is
// canonical JSON (RFC 8785), so that equal content gives equal bytes, and the
// SHA-256 of its bytes is the digest of the whole bundle: `sha256sum
// model/manifest.json` prints what Digest returns.
//
// MLmodel is the file by which MLflow's clients know a model: its flavors and
// its signature. It is made from the same Spec, and the digest covers it.
package bundle
