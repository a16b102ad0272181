package registry

import _ "example.com/tree/examples/quickstart"
