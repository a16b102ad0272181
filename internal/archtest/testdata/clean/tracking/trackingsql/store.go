package trackingsql

import (
	_ "example.com/tree/sqlstore"
	_ "example.com/tree/tracking"
)
