// Package registrymem keeps a registry in memory: for tests, and as the
// executable specification that the other stores are compared with.
//
//	models := registry.New(registrymem.New(), artifact.Memory(), nil)
package registrymem
