package retrainsql

import _ "example.com/tree/examples/quickstart"
