package retrain

import (
	_ "example.com/tree/serve/servehttp"
	_ "example.com/tree/train"
)
