package sqlstore

import (
	_ "example.com/tree/internal/fault"
	_ "modernc.org/sqlite"
)
