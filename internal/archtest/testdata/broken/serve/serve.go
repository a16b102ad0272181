package serve

import (
	_ "example.com/tree/drift"
	_ "example.com/tree/train/frame"
	_ "google.golang.org/grpc/codes"
)
