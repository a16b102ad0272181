package retrainsql

import (
	_ "example.com/tree/retrain/retraindbos"
	_ "example.com/tree/tracking/trackingsql"
)
