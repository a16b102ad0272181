package nonsense

import _ "example.com/tree/retrain"
