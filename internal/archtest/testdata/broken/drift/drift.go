package drift

import _ "example.com/tree/retrain"
