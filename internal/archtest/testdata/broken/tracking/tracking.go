package tracking

import (
	_ "testing"

	_ "example.com/tree/registry"
	_ "example.com/tree/tracking/trackingsql"
	_ "github.com/stretchr/testify/require"
)
