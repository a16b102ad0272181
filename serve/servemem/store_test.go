package servemem_test

import (
	"testing"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
)

func TestStore(t *testing.T) {
	servetest.Run(t, func(*testing.T) serve.Store { return servemem.New() })
}
