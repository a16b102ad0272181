package train

import (
	_ "example.com/tree/serve"
	_ "gorgonia.org/gorgonia"
)
