package fault

import _ "errors"
