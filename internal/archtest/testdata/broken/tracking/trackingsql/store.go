package trackingsql

import (
	_ "example.com/tree/drift"
	_ "modernc.org/sqlite"
)
