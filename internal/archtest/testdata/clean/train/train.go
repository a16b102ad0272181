package train

import (
	_ "example.com/tree/tracking"
	_ "example.com/tree/train/frame"
	_ "gorgonia.org/gorgonia"
)
