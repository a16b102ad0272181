package fault

import _ "example.com/tree/tracking"
