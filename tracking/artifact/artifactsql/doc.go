// Package artifactsql keeps artifacts in a database, SQLite or PostgreSQL, so
// that all processes of a deployment share them and one backup has everything.
//
//	files, err := artifactsql.Open(ctx, "postgres://ml@db/shop", &sqlstore.Options{Schema: "mlloop"})
//	defer files.Close()
//	models := registry.New(store, files, &registry.Options{Cache: artifact.NewCache("cache", nil)})
//
// A blob lies in chunks of 1 MiB, which come and go one at a time: neither Put
// nor Get holds more of it in memory, and a range reads only its own chunks. Put
// stages chunks that no digest names, each in a transaction of its own, and gives
// them their digest in one last transaction: a process that dies leaves nothing
// half visible. What it staged is removed a day after its last chunk.
//
// A blob that is deleted or replaced while it is read stays readable for an
// hour; its space is free for others after that. These times go by the clocks of
// the processes, which must agree to within minutes. SQLite's file does not
// shrink by itself: see VACUUM.
package artifactsql
