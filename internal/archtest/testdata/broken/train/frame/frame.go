package frame

import (
	_ "example.com/tree/train"
	_ "go4.org/unsafe/assume-no-moving-gc"
)
