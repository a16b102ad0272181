// Package artifact stores files by what is in them: the SHA-256 of the bytes
// is the name, so that equal files are stored once and a damaged file is found
// out when it is read.
//
//	files := artifact.Dir("artifacts")
//	digest, size, err := files.Put(ctx, strings.NewReader("hello"), nil)
//	content, err := files.Get(ctx, digest)
//
// [Dir] keeps blobs in a folder, [Memory] in memory, package artifactsql in a
// database. Package artifacttest checks other stores. A [Cache] keeps copies of
// what lies further away; [Collect] removes what nobody names any more.
package artifact
