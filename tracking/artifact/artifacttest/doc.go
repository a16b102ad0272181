// Package artifacttest checks implementations of artifact.Store.
//
//	func TestStore(t *testing.T) {
//		artifacttest.Run(t, func(t *testing.T) artifact.Store { return mystore.New(t.TempDir()) })
//	}
package artifacttest
