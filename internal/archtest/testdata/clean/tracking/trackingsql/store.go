package trackingsql

import (
	_ "example.com/tree/internal/sqldb"
	_ "example.com/tree/tracking"
)
