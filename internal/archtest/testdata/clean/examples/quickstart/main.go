package main

import (
	_ "example.com/tree/retrain/retrainsql"
	_ "modernc.org/sqlite"
)
