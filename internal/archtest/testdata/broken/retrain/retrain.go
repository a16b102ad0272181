package retrain

import _ "example.com/tree/retrain/retraindbos"
