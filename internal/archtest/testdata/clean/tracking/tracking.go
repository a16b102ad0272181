package tracking

import (
	_ "example.com/tree/internal/fault"
	_ "example.com/tree/tracking/artifact"
)
