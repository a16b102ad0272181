package trackingtest

import (
	_ "testing"

	_ "example.com/tree/tracking"
	_ "github.com/stretchr/testify/require"
)
