package tracking_test

import (
	_ "testing"

	_ "example.com/tree/retrain"
	_ "example.com/tree/tracking/trackingsql"
	_ "github.com/stretchr/testify/require"
)
